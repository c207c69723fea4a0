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

// The content of a file; rejected if the browser cannot read it.
function toBase64(blob) {
    return new Promise((resolve, reject) => {
        const reader = new FileReader();
        reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
        reader.onerror = () => reject(reader.error);
        reader.readAsDataURL(blob);
    });
}

// A small copy of a picture as a canvas, cut to a square.
function squareCopy(source, width, height, side) {
    const canvas = Object.assign(document.createElement("canvas"), { width: side, height: side });
    const cut = Math.min(width, height);
    canvas.getContext("2d").drawImage(source, (width - cut) / 2, (height - cut) / 2, cut, cut, 0, 0, side, side);
    return canvas;
}

function newId() {
    return `${Date.now()}-${Math.random().toString(36).slice(2)}`;
}

