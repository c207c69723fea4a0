// Records frames from the camera while a button is held: one press is one recording.

const MILLISECONDS_A_FRAME = 250;
const FRAMES_SHOWN = 8;
const SETTINGS = {
    videoWidth: 1280,
    longestSide: 1024, // the same as the app keeps of any photo
    quality: 0.92,
    focused: ".name",
};

export default drawOne(createRecorder);

function createRecorder() {
    let recording = null; // from the press until the server has its last frame
    let className = "";
    let sentence = "";

    const show = () => {
        const { words, class_names: classNames, max_name_length: maxNameLength } = camera.data;
        const { find } = camera;
        const isHeld = Boolean(recording && !recording.isReleased);
        find(".mark").hidden = !isHeld;
        find(".label").textContent = words.name;
        find(".name").placeholder = words.example;
        find(".name").maxLength = maxNameLength;
        const button = find(".record");
        button.textContent = HAS_CAMERA_APP_ALONE ? words.take : isHeld ? words.recording : words.record;
        button.setAttribute("aria-pressed", String(isHeld));
        if (HAS_CAMERA_APP_ALONE) {
            find(".on").hidden = false;
            find(".off").hidden = find(".picture").hidden = find(".stop").hidden = true;
        }
        find("datalist").replaceChildren(
            ...classNames.map((name) => Object.assign(document.createElement("option"), { value: name })),
        );
        find(".state").textContent = recording
            ? words.count.replace("{count}", recording.numTaken.toLocaleString(document.documentElement.lang))
            : sentence;
    };

    const press = () => {
        if (recording || !camera.stream || isNameless()) return;
        sentence = "";
        camera.find(".taken").replaceChildren();
        recording = { id: newId(), className, number: 0, numTaken: 0, isWaiting: false, isReleased: false };
        recording.clock = setInterval(tick, MILLISECONDS_A_FRAME);
        tick();
        camera.show();
    };

    const isNameless = () => {
        if (className.trim()) return false;
        sentence = camera.data.words.nameless;
        camera.find(".name").focus();
        camera.show();
        return true;
    };

    // A photo of the phone's camera app is a recording of one frame, sent again until it is acknowledged.
    const takePhoto = async (file) => {
        const content = await toBase64(file);
        recording = { id: newId(), className, number: 1, numTaken: 0, isWaiting: true, isReleased: true };
        const { id, number } = recording;
        const message = { recording: id, number, class_name: className, content, is_last: true };
        const sendPhoto = () => {
            recording.sentAt = Date.now();
            camera.send("frame", message);
        };
        recording.clock = setInterval(() => isOnItsWay(recording) || sendPhoto(), MILLISECONDS_A_FRAME);
        sendPhoto();
        showFrame(content);
        camera.show();
    };

    const release = () => {
        if (!recording || recording.isReleased) return;
        recording.isReleased = true;
        tick();
        camera.show();
    };

    const tick = () => {
        if (isOnItsWay(recording)) return;
        const frame = recording.isReleased ? null : camera.takeFrame();
        if (!frame && !recording.isReleased) return;
        Object.assign(recording, { number: recording.number + 1, isWaiting: true, sentAt: Date.now() });
        camera.send("frame", {
            recording: recording.id,
            number: recording.number,
            class_name: recording.className,
            content: frame,
            is_last: recording.isReleased,
        });
        if (frame) showFrame(frame);
    };

    const showFrame = (frame) => {
        const picture = Object.assign(document.createElement("img"), { src: `data:image/jpeg;base64,${frame}`, alt: "" });
        const taken = camera.find(".taken");
        taken.prepend(picture);
        if (taken.childElementCount > FRAMES_SHOWN) taken.lastElementChild.remove();
    };

    const takeAnswer = () => {
        const { data } = camera;
        if (!recording || data.recording !== recording.id || data.acknowledged < recording.number) return;
        recording.isWaiting = false;
        recording.numTaken = data.num_frames;
        if (data.is_complete) {
            forget();
        } else if (recording.isReleased) {
            tick();
        } else if (data.has_failed) {
            release();
        }
    };

    const forget = () => {
        clearInterval(recording?.clock);
        recording = null;
    };

    const attach = () => {
        const field = camera.find(".name");
        field.value = className;
        field.oninput = () => {
            className = field.value;
            sentence = "";
            camera.show();
        };
        const button = camera.find(".record");
        if (HAS_CAMERA_APP_ALONE) button.onclick = () => recording || isNameless() || openCameraApp(takePhoto);
        else holdToPress(button, press, release, () => recording !== null);
    };

    const camera = createCamera(SETTINGS, { attach, show, takeAnswer, end: release, abandon: forget });
    return camera;
}
