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

