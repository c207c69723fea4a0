// Begins the script of every component.

// Returns the function that Streamlit calls to draw a component of which the page has only one. It lives on while the
// page draws it again, perhaps at another place.
function drawOne(create) {
    let only = null;
    return ({ parentElement, data, setTriggerValue }) => {
        only ??= create();
        only.update(parentElement, data, setTriggerValue);
        return () => only.leave?.(parentElement);
    };
}

function isOnPage(root) {
    return root.isConnected || Boolean(root.host?.isConnected);
}

function newId() {
    return `${Date.now()}-${Math.random().toString(36).slice(2)}`;
}

