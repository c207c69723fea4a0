// Shows what the models say about what the camera sees.
//
// One frame is on its way at a time. What the camera sees until the answer is here is dropped, never queued, so
// that an answer is never late, only rarer.

const SHORTEST_PAUSE = 66; // milliseconds between two frames
const LONGEST_SIDE = 448; // pixels; more than most networks look at
const JPEG_QUALITY = 0.9;
const LOST_AFTER = 10_000; // milliseconds without an answer
const SILENT_AFTER = 60_000; // milliseconds; a server that loads a model or trains beside takes long too
const GONE_AFTER = 500; // milliseconds; the page may draw the component again at another place
const RATE_OVER = 3_000; // milliseconds

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
    let viewing = null; // from switching on to switching off
    let endWatch = () => {};

    const show = () => {
        const { words } = data;
        find(".off").hidden = stream !== null;
        find(".on").hidden = stream === null;
        find(".start").textContent = words.start;
        find(".hint").textContent = words.hint;
        find(".stop").textContent = words.stop;
        find(".waiting").textContent = words.waiting;
        find("video").setAttribute("aria-label", words.preview);
    };

    const explain = (problem) => {
        find(".problem").textContent = problem;
        show();
    };

    const switchOn = async () => {
        if (!window.isSecureContext || !navigator.mediaDevices) return explain(data.words.insecure);
        const wanted = { facingMode: { ideal: "environment" }, width: { ideal: 640 } };
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
        find(".answers").replaceChildren();
        find(".rate").textContent = "";
        find(".waiting").hidden = false;
        viewing = { id: newId(), number: 0, isWaiting: false, sentAt: 0, answeredAt: [] };
        viewing.clock = setInterval(tick, SHORTEST_PAUSE);
        explain("");
        find(".stop").focus();
    };

    const switchOff = (problem = "") => {
        endWatch();
        clearInterval(viewing?.clock);
        viewing = null;
        stream?.getTracks().forEach((track) => track.stop());
        find("video").srcObject = stream = null;
        explain(problem);
    };

    const tick = () => {
        const now = Date.now();
        if (viewing.isWaiting && now - viewing.silentSince > SILENT_AFTER) return switchOff(data.words.unreached);
        if (document.hidden || (viewing.isWaiting && now - viewing.sentAt < LOST_AFTER)) return;
        const content = takeFrame();
        if (!content) return;
        if (!viewing.isWaiting) viewing.silentSince = now;
        Object.assign(viewing, { number: viewing.number + 1, isWaiting: true, sentAt: now });
        send("frame", { viewing: viewing.id, number: viewing.number, content });
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
        if (data.viewing !== viewing.id || data.acknowledged < viewing.number || !viewing.isWaiting) return;
        viewing.isWaiting = false;
        if (!data.answers.length) return;
        find(".waiting").hidden = true;
        showAnswers(find(".answers"), data.answers);
        const now = Date.now();
        viewing.answeredAt = [...viewing.answeredAt, now].filter((time) => now - time < RATE_OVER);
        const [first] = viewing.answeredAt;
        if (now - first < RATE_OVER / 3) return;
        const rate = ((viewing.answeredAt.length - 1) * 1000) / (now - first);
        find(".rate").textContent = data.words.rate.replace("{count}", rate.toFixed(rate < 3 ? 1 : 0));
    };

    const attach = () => {
        find(".start").onclick = switchOn;
        find(".stop").onclick = () => switchOff();
        find("video").srcObject = stream;
    };

    return {
        update(newRoot, newData, newSend) {
            data = newData;
            send = newSend;
            if (root !== newRoot) {
                root = newRoot;
                attach();
            }
            if (viewing) takeAnswer();
            show();
        },
        leave(oldRoot) {
            setTimeout(() => {
                if (root === oldRoot && !isOnPage(root)) switchOff();
            }, GONE_AFTER);
        },
    };
}

// Rows are kept and only their numbers changed, so that the style sheet can move the bars.
function showAnswers(place, answers) {
    while (place.children.length > answers.length) place.lastChild.remove();
    answers.forEach((answer, index) => {
        const block = place.children[index] ?? place.appendChild(newBlock());
        write(block.querySelector(".title"), answer.title);
        write(block.querySelector(".said"), answer.said);
        showBars(block.querySelector(".bars"), answer);
    });
}

function newBlock() {
    const block = document.createElement("section");
    block.append(newPart("p", "title"), newPart("p", "said"), newPart("div", "bars"));
    block.querySelector(".said").setAttribute("role", "status");
    return block;
}

function showBars(bars, { bars: rows, best }) {
    rows.forEach(([name, score], index) => {
        while (bars.children.length < (index + 1) * 3) addBar(bars);
        const [label, track, number] = [...bars.children].slice(index * 3, index * 3 + 3);
        write(label, name);
        label.classList.toggle("best", name === best);
        track.firstChild.style.transform = `scaleX(${score})`;
        write(number, score.toLocaleString(undefined, { style: "percent" }));
        number.classList.toggle("best", name === best);
    });
    while (bars.children.length > rows.length * 3) bars.lastChild.remove();
}

function addBar(bars) {
    const track = newPart("div", "track");
    track.setAttribute("aria-hidden", "true");
    track.append(newPart("div", "fill"));
    bars.append(newPart("span", "name"), track, newPart("span", "number"));
}

function newPart(tag, className) {
    return Object.assign(document.createElement(tag), { className });
}

// A status that is written anew is read out anew, though it says the same.
function write(element, text) {
    if (element.textContent !== text) element.textContent = text;
}
