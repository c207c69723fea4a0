// Begins the script of each component that has a camera.

const VIEW_CHECKED_EVERY = 100; // milliseconds

// Watches whether the person still looks at the view with the camera, and asks the browser alone: the server may be
// busy, hung or dead. Calls `leave` once another option of the view's control is chosen, a link to another page is
// followed, or the tab is closed or goes back; calls `lose` once the app cannot be reached. Returns what ends the watch.
function watchView(control, leave, lose) {
    const chosen = () => document.querySelector(`.st-key-${control} [aria-checked=true]`)?.textContent;
    const atStart = chosen();
    const look = () => {
        if ((chosen() ?? atStart) !== atStart) leave();
        else if (!isAppReached()) lose();
    };
    const clock = setInterval(look, VIEW_CHECKED_EVERY);
    const listening = new AbortController();
    const { signal } = listening;
    document.addEventListener("click", (event) => leadsAway(event) && leave(), { capture: true, signal });
    window.addEventListener("pagehide", () => leave(), { signal });
    window.addEventListener("popstate", () => leave(), { signal });
    return () => {
        clearInterval(clock);
        listening.abort();
    };
}

function leadsAway(event) {
    const link = event.target.closest?.("a[href]");
    if (!link || link.getAttribute("href").startsWith("#")) return false;
    const opensElsewhere = event.ctrlKey || event.metaKey || event.shiftKey || link.target === "_blank";
    return !opensElsewhere && !link.hasAttribute("download");
}

function isAppReached() {
    const state = document.querySelector("[data-testid=stApp]")?.dataset.testConnectionState;
    return state === undefined || state === "CONNECTED";
}

function isOnPage(root) {
    return root.isConnected || Boolean(root.host?.isConnected);
}

function newId() {
    return `${Date.now()}-${Math.random().toString(36).slice(2)}`;
}
