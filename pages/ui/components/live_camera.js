// Shows what the models say about what the camera sees.

const SHORTEST_PAUSE = 66; // milliseconds between two frames
const SILENT_AFTER = 60_000; // milliseconds; a server that loads a model or trains beside takes long too
const RATE_OVER = 3_000; // milliseconds
const SPOKEN_EVERY = 2_000; // milliseconds between two sentences for a screen reader
const SETTINGS = {
    videoWidth: 640,
    longestSide: 448, // more than most networks look at
    quality: 0.9,
    focused: ".stop",
};

export default drawOne(createLiveCamera);

function createLiveCamera() {
    let viewing = null; // from switching on to switching off
    let taken = ""; // the latest photo of the phone's camera app, where the camera itself cannot be used
    let isSwitchedOff = false; // by the person, who then also switches it on again

    const show = () => {
        for (const name of ["waiting", "keep"]) camera.find(`.${name}`).textContent = camera.data.words[name];
        camera.find(".keep").hidden = !camera.data.keeps_photos;
        if (!HAS_CAMERA_APP_ALONE) return;
        camera.find(".on").hidden = !taken;
        camera.find("video").poster = taken && `data:image/jpeg;base64,${taken}`;
        camera.find(".stop").hidden = true;
    };

    const attach = async () => {
        camera.find(".keep").onclick = keepPhoto;
        camera.find(".stop").addEventListener("click", () => (isSwitchedOff = true));
        if (viewing || !camera.data.has_camera) return;
        if (!(await isCameraThere())) return camera.send("missing", true);
        if (!HAS_CAMERA_APP_ALONE && !isSwitchedOff && (await isCameraAllowed())) camera.switchOn();
    };

    const takePhoto = async (file) => {
        taken = await toBase64(file);
        const now = Date.now();
        viewing = { id: newId(), number: 1, isWaiting: true, sentAt: now, silentSince: now, answeredAt: [] };
        camera.find(".answers").replaceChildren();
        camera.find(".waiting").hidden = false;
        camera.send("frame", { viewing: viewing.id, number: 1, content: taken });
        camera.show();
    };

    const keepPhoto = () => {
        const content = taken || camera.takeFrame();
        if (content) camera.send("photo", { id: newId(), content });
    };

    const begin = () => {
        isSwitchedOff = false;
        camera.find(".answers").replaceChildren();
        camera.find(".spoken").textContent = "";
        camera.find(".rate").textContent = "";
        camera.find(".waiting").hidden = false;
        viewing = { id: newId(), number: 0, isWaiting: false, sentAt: 0, answeredAt: [] };
        viewing.clock = setInterval(tick, SHORTEST_PAUSE);
    };

    const end = () => {
        clearInterval(viewing?.clock);
        viewing = null;
    };

    const tick = () => {
        const now = Date.now();
        if (viewing.isWaiting && now - viewing.silentSince > SILENT_AFTER) {
            return camera.switchOff(camera.data.words.unreached);
        }
        if (document.hidden || isOnItsWay(viewing)) return;
        const content = camera.takeFrame();
        if (!content) return;
        if (!viewing.isWaiting) viewing.silentSince = now;
        Object.assign(viewing, { number: viewing.number + 1, isWaiting: true, sentAt: now });
        camera.send("frame", { viewing: viewing.id, number: viewing.number, content });
    };

    const takeAnswer = () => {
        const { data, find } = camera;
        if (!viewing?.isWaiting || data.viewing !== viewing.id || data.acknowledged < viewing.number) return;
        viewing.isWaiting = false;
        if (!data.answers.length) return;
        find(".waiting").hidden = true;
        showAnswers(find(".answers"), data.answers, data.words.percent_sign);
        const now = Date.now();
        speak(now, data.answers.map(({ said }) => said).join(", "));
        viewing.answeredAt = [...viewing.answeredAt, now].filter((time) => now - time < RATE_OVER);
        const [first] = viewing.answeredAt;
        if (now - first < RATE_OVER / 3) return;
        const rate = ((viewing.answeredAt.length - 1) * 1000) / (now - first);
        find(".rate").textContent = data.words.rate.replace("{count}", written(rate, rate < 3 ? 1 : 0));
    };

    const speak = (now, said) => {
        if (now - (viewing.spokenAt ?? 0) < SPOKEN_EVERY || camera.find(".spoken").textContent === said) return;
        viewing.spokenAt = now;
        camera.find(".spoken").textContent = said;
    };

    const camera = createCamera(SETTINGS, { attach, show, takeAnswer, begin, takePhoto, end });
    return camera;
}

async function isCameraThere() {
    if (HAS_CAMERA_APP_ALONE) return true;
    if (!window.isSecureContext || !navigator.mediaDevices) return false;
    const devices = await navigator.mediaDevices.enumerateDevices();
    return devices.some(({ kind }) => kind === "videoinput");
}

async function isCameraAllowed() {
    try {
        return (await navigator.permissions.query({ name: "camera" })).state === "granted";
    } catch {
        return false; // a browser that does not know this permission
    }
}

// Rows are kept and only their numbers changed, so that the style sheet can move the bars.
function showAnswers(place, answers, sign) {
    while (place.children.length > answers.length) place.lastChild.remove();
    answers.forEach((answer, index) => {
        const block = place.children[index] ?? place.appendChild(newBlock());
        write(block.querySelector(".title"), answer.title);
        write(block.querySelector(".said"), answer.said);
        showBars(block.querySelector(".bars"), answer, sign);
    });
}

function newBlock() {
    const block = document.createElement("section");
    block.append(newPart("p", "title"), newPart("p", "said"), newPart("div", "bars"));
    return block;
}

function showBars(bars, { bars: rows, best }, sign) {
    rows.forEach(([name, score], index) => {
        while (bars.children.length < (index + 1) * 3) addBar(bars);
        const [label, track, number] = [...bars.children].slice(index * 3, index * 3 + 3);
        write(label, name);
        label.classList.toggle("best", name === best);
        track.firstChild.style.transform = `scaleX(${score})`;
        write(number, `${Math.round(score * 100)}${sign}`);
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

// A screen reader reads a status again whenever it is written, even when the text is the same.
function write(element, text) {
    if (element.textContent !== text) element.textContent = text;
}

function written(number, digits) {
    const limits = { minimumFractionDigits: digits, maximumFractionDigits: digits };
    return number.toLocaleString(document.documentElement.lang, limits);
}
