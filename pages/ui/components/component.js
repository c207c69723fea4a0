// Begins the script of every component.

// Returns the function that Streamlit calls to draw a component of which the page has only one. It lives on while the
// page draws it again, perhaps at another place. Its `leave` is called when it has left the page for good.
function drawOne(create, checkEvery = 500) {
    let only = null;
    let root = null;
    return ({ parentElement, data, setTriggerValue }) => {
        only ??= create();
        root = parentElement;
        only.update(root, data, setTriggerValue);
        return () => only.leave && whenGone(() => root !== parentElement || isOnPage(root), only.leave, checkEvery);
    };
}

// Calls `act` when a component has left the page for good. A page that only moves it removes it first, and a slow
// computer takes seconds to draw it again. So the script must have ended at two checks in a row, because the browser
// shows its last elements a little later. A script that does not end is waited for no longer than twenty checks.
function whenGone(isBack, act, checkEvery) {
    const surelyGone = Date.now() + 20 * checkEvery;
    const { pathname } = location;
    let wasDrawn = false;
    const check = () => {
        if (isBack()) return;
        const isDrawn = isPageDrawn();
        const isGone = (isDrawn && wasDrawn) || location.pathname !== pathname || Date.now() > surelyGone;
        wasDrawn = isDrawn;
        isGone ? act() : setTimeout(check, checkEvery);
    };
    setTimeout(check, checkEvery);
}

function isPageDrawn() {
    return (document.querySelector("[data-testid=stApp]")?.dataset.testScriptState ?? "notRunning") === "notRunning";
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

// Browsers give a live camera to encrypted pages alone. On any other, a phone can still open its own camera app.
const HAS_CAMERA_APP_ALONE = (!window.isSecureContext || !navigator.mediaDevices) && matchMedia("(pointer: coarse)").matches;

// Opens the camera app of a phone, from a click, and calls `take` with the photo as a JPEG.
function openCameraApp(take) {
    const input = Object.assign(document.createElement("input"), { type: "file", accept: "image/*", hidden: true });
    input.setAttribute("capture", "environment");
    document.body.append(input);
    const end = () => input.remove();
    input.onchange = async () => {
        const [file] = input.files;
        end();
        if (file) take(await shrunkPhoto(file));
    };
    input.oncancel = end;
    input.click();
}

function newId() {
    return `${Date.now()}-${Math.random().toString(36).slice(2)}`;
}

