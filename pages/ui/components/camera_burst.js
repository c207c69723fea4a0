// Records frames from the camera while a button is held: one press is one recording.
//
// One frame is on its way at a time. What the camera sees until the server has answered is dropped, never queued,
// so a slow server gets fewer frames rather than late ones.

const MILLISECONDS_A_FRAME = 250;
const LONGEST_SIDE = 1024; // pixels; the same as the app keeps of any photo
const JPEG_QUALITY = 0.92;
const LOST_AFTER = 10_000; // milliseconds without an answer
const GONE_AFTER = 500; // milliseconds; the page may draw the component again at another place

let camera = null;

export default function ({ parentElement, data, setTriggerValue }) {
    camera ??= createCamera();
    camera.update(parentElement, data, setTriggerValue);
    return () => camera.leave(parentElement);
}

function createCamera() {
    let root = null;
    const find = (selector) => root.querySelector(selector);
    const canvas = document.createElement("canvas");
    let data = {};
    let send = () => {};
    let stream = null;
    let endWatch = () => {};
    let recording = null; // from the press until the server has its last frame
    let className = "";
    let sentence = "";

    const show = () => {
        const { words, class_names: classNames } = data;
        const isHeld = Boolean(recording && !recording.isReleased);
        find(".off").hidden = stream !== null;
        find(".on").hidden = stream === null;
        find(".mark").hidden = !isHeld;
        find(".start").textContent = words.start;
        find(".hint").textContent = words.hint;
        find(".label").textContent = words.name;
        find(".name").placeholder = words.example;
        find(".stop").textContent = words.stop;
        find("video").setAttribute("aria-label", words.preview);
        const button = find(".record");
        button.textContent = isHeld ? words.recording : words.record;
        button.setAttribute("aria-pressed", String(isHeld));
        find("datalist").replaceChildren(
            ...classNames.map((name) => Object.assign(document.createElement("option"), { value: name })),
        );
        find(".state").textContent = recording
            ? words.count.replace("{count}", recording.numTaken.toLocaleString())
            : sentence;
    };

    const explain = (problem) => {
        find(".problem").textContent = problem;
        show();
    };

    const switchOn = async () => {
        if (!window.isSecureContext || !navigator.mediaDevices) return explain(data.words.insecure);
        const wanted = { facingMode: { ideal: "environment" }, width: { ideal: 1280 } };
        let isLeft = false;
        const leave = (problem) => {
            isLeft = true;
            switchOff(problem);
        };
        endWatch = watchView(data.control, leave, () => leave(data.words.unreached));
        find(".start").disabled = true;
        try {
            stream = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
        } catch (error) {
            endWatch();
            return explain(data.words[error.name] ?? data.words.NotReadableError);
        } finally {
            find(".start").disabled = false;
        }
        if (isLeft || !isOnPage(root)) return switchOff();
        stream.getTracks().forEach((track) => (track.onended = () => switchOff(data.words.unplugged)));
        find("video").srcObject = stream;
        explain("");
        find(".name").focus();
    };

    const switchOff = (problem = "") => {
        endWatch();
        release();
        stream?.getTracks().forEach((track) => track.stop());
        find("video").srcObject = stream = null;
        explain(problem);
    };

    const press = () => {
        if (recording || !stream) return;
        if (!className.trim()) {
            sentence = data.words.nameless;
            find(".name").focus();
            return show();
        }
        sentence = "";
        recording = { id: newId(), className, number: 0, numTaken: 0, isWaiting: false, isReleased: false };
        recording.clock = setInterval(tick, MILLISECONDS_A_FRAME);
        tick();
        show();
    };

    const release = () => {
        if (!recording || recording.isReleased) return;
        recording.isReleased = true;
        tick();
        show();
    };

    const tick = () => {
        if (recording.isWaiting && Date.now() - recording.sentAt < LOST_AFTER) return;
        const frame = recording.isReleased ? null : takeFrame();
        if (!frame && !recording.isReleased) return;
        Object.assign(recording, { number: recording.number + 1, isWaiting: true, sentAt: Date.now() });
        send("frame", {
            recording: recording.id,
            number: recording.number,
            class_name: recording.className,
            content: frame,
            is_last: recording.isReleased,
        });
    };

    const takeFrame = () => {
        const { videoWidth: width, videoHeight: height } = find("video");
        if (!width) return null;
        const scale = Math.min(LONGEST_SIDE / Math.max(width, height), 1);
        canvas.width = Math.round(width * scale);
        canvas.height = Math.round(height * scale);
        canvas.getContext("2d").drawImage(find("video"), 0, 0, canvas.width, canvas.height);
        return canvas.toDataURL("image/jpeg", JPEG_QUALITY).split(",")[1];
    };

    const takeAnswer = () => {
        if (data.recording !== recording.id || data.acknowledged < recording.number) return;
        recording.isWaiting = false;
        recording.numTaken = data.num_frames;
        if (data.is_complete) {
            clearInterval(recording.clock);
            recording = null;
        } else if (recording.isReleased) {
            tick();
        } else if (data.has_failed) {
            release();
        }
    };

    const attach = () => {
        find(".start").onclick = switchOn;
        find(".stop").onclick = () => switchOff();
        find(".name").value = className;
        find(".name").oninput = () => {
            className = find(".name").value;
            sentence = "";
            show();
        };
        find("video").srcObject = stream;
        attachRecord(find(".record"));
    };

    const attachRecord = (button) => {
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
            if (event.detail === 0) (recording ? release : press)();
        };
    };

    return {
        update(newRoot, newData, newSend) {
            data = newData;
            send = newSend;
            if (root !== newRoot) {
                root = newRoot;
                attach();
            }
            if (recording) takeAnswer();
            show();
        },
        leave(oldRoot) {
            setTimeout(() => {
                if (root !== oldRoot || isOnPage(root)) return;
                clearInterval(recording?.clock);
                recording = null;
                switchOff();
            }, GONE_AFTER);
        },
    };
}
