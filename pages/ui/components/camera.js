// Begins the script of each component that has a camera.
//
// One frame is on its way at a time. What the camera sees until the server has answered is dropped, never queued, so a
// slow server gets fewer frames rather than late ones.

const VIEW_CHECKED_EVERY = 100; // milliseconds
const LOST_AFTER = 10_000; // milliseconds without an answer
const CAMERA_IS_ON = "transfer-studio-camera-is-on";

// Returns a camera that is switched on and off by its buttons, and off as soon as its view is left.
//
// `settings`: `videoWidth` that is wanted and `longestSide` of a frame in pixels, `quality` of its JPEG (0-1), and
// `focused`, the selector of the element that gets the focus. `steps` are called in the course of it: `attach` when the
// component is drawn at a new place, `show` when it is drawn, `takeAnswer` when the server has sent data, `begin` when
// the camera is on, `takePhoto` with a photo of a phone's camera app, `end` before it is switched off, `abandon` before that when the component has left the page.
function createCamera(settings, steps) {
    const canvas = document.createElement("canvas");
    let endWatch = () => {};

    const camera = {
        root: null,
        data: {},
        send: () => {},
        stream: null,

        find: (selector) => camera.root.querySelector(selector),

        show() {
            const { words } = camera.data;
            camera.find(".off").hidden = camera.stream !== null;
            camera.find(".on").hidden = camera.stream === null;
            for (const name of ["start", "hint", "stop"]) camera.find(`.${name}`).textContent = words[name];
            if (HAS_CAMERA_APP_ALONE) camera.find(".start").textContent = words.take;
            camera.find("video").setAttribute("aria-label", words.preview);
            steps.show();
        },

        switchOff(problem = "") {
            endWatch();
            steps.end();
            camera.stream?.getTracks().forEach((track) => track.stop());
            camera.find("video").srcObject = camera.stream = null;
            explain(problem);
        },

        takeFrame() {
            const { videoWidth: width, videoHeight: height } = camera.find("video");
            if (!width) return null;
            const scale = Math.min(settings.longestSide / Math.max(width, height), 1);
            canvas.width = Math.round(width * scale);
            canvas.height = Math.round(height * scale);
            canvas.getContext("2d").drawImage(camera.find("video"), 0, 0, canvas.width, canvas.height);
            return canvas.toDataURL("image/jpeg", settings.quality).split(",")[1];
        },

        update(root, data, send) {
            Object.assign(camera, { data, send });
            if (camera.root !== root) {
                camera.root = root;
                attach();
            }
            steps.takeAnswer();
            camera.show();
        },

        leave() {
            steps.abandon?.();
            camera.switchOff();
        },
    };

    const explain = (problem) => {
        camera.find(".problem").textContent = problem;
        camera.show();
    };

    const explainHttps = () => {
        const { words } = camera.data;
        explain(words.insecure);
        const link = { href: "/certificate", target: "_blank", textContent: words.https };
        camera.find(".problem").append(" ", Object.assign(document.createElement("a"), link));
    };

    // Without a click nobody expects the focus to move.
    const switchOn = async (click) => {
        const { words } = camera.data;
        if (!window.isSecureContext || !navigator.mediaDevices) return explainHttps();
        const video = { facingMode: { ideal: "environment" }, width: { ideal: settings.videoWidth } };
        let isLeft = false;
        const leave = (problem) => {
            isLeft = true;
            camera.switchOff(problem);
        };
        endWatch = watchView(camera.data.control, leave, () => leave(camera.data.words.unreached));
        camera.find(".start").disabled = true;
        try {
            camera.stream = await navigator.mediaDevices.getUserMedia({ video, audio: false });
        } catch (error) {
            endWatch();
            return explain(camera.data.words[error.name] ?? camera.data.words.NotReadableError);
        } finally {
            camera.find(".start").disabled = false;
        }
        if (isLeft || !isOnPage(camera.root)) return camera.switchOff();
        const unplugged = () => camera.switchOff(camera.data.words.unplugged);
        camera.stream.getTracks().forEach((track) => (track.onended = unplugged));
        camera.find("video").srcObject = camera.stream;
        document.dispatchEvent(new CustomEvent(CAMERA_IS_ON, { detail: camera }));
        steps.begin?.();
        explain("");
        if (click) camera.find(settings.focused).focus();
    };

    camera.switchOn = switchOn;

    const attach = () => {
        camera.find(".start").onclick = HAS_CAMERA_APP_ALONE ? () => openCameraApp(steps.takePhoto) : switchOn;
        camera.find(".stop").onclick = () => camera.switchOff();
        camera.find("video").srcObject = camera.stream;
        steps.attach?.();
    };

    // A phone gives its camera to one view only.
    document.addEventListener(CAMERA_IS_ON, ({ detail }) => detail !== camera && camera.stream && camera.switchOff());
    return camera;
}

function isOnItsWay({ isWaiting, sentAt }) {
    return isWaiting && Date.now() - sentAt < LOST_AFTER;
}

// Watches whether the person still looks at the view with the camera. Reads the browser's own state alone, because the
// server may be busy, hung or dead. Calls `leave` once another option of the view's control is chosen, a link to another page is
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

// Lets a button be held with a pointer or a key. `isHeld` says whether it is.
function holdToPress(button, press, release, isHeld) {
    const isHoldKey = (event) => event.key === " " || event.key === "Enter";
    button.onpointerdown = (event) => {
        if (event.button !== 0) return;
        button.setPointerCapture(event.pointerId);
        press();
    };
    button.onpointerup = button.onpointercancel = button.onlostpointercapture = button.onblur = release;
    button.oncontextmenu = (event) => event.preventDefault();
    button.onkeydown = (event) => {
        if (!isHoldKey(event)) return;
        event.preventDefault();
        if (!event.repeat) press();
    };
    button.onkeyup = (event) => {
        if (!isHoldKey(event)) return;
        event.preventDefault();
        release();
    };
    // Neither a pointer nor a key: a screen reader or a voice presses, and cannot hold.
    button.onclick = (event) => {
        if (event.detail === 0) (isHeld() ? release : press)();
    };
}

