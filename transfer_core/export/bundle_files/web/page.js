"use strict";
// The page around the model: photos that are picked, dropped or pasted, and the live camera.
// Names from outside are only ever written as text.

const MOST_BARS = 8;
const SHOWN_SIDE = 480; // pixels of the small pictures on the cards
const RATE_OVER = 3_000; // milliseconds
const { words } = facts;
const find = (selector) => document.querySelector(selector);
let stream = null;

function begin() {
    for (const name of ["hint", "choose", "start", "stop", "private", "clear", "about", "origin", "licence"]) {
        find(`#${name}`).textContent = words[name];
    }
    find("#classes").textContent = words.classes;
    find("#state").textContent = words.loading;
    find("video").setAttribute("aria-label", words.preview);
    loadModel().then(open).catch(giveUp);
}

function giveUp(error) {
    find("#state").textContent = "";
    stopCamera(words.cannotRun.replace("{reason}", () => error.message ?? error));
}

function open() {
    find("#state").textContent = "";
    find("#bring").hidden = false;
    find("#files").onchange = ({ target }) => {
        take([...target.files]);
        target.value = "";
    };
    find("#clear").onclick = () => {
        find("#cards").replaceChildren();
        find("#clear").hidden = true;
    };
    find("#start").onclick = startCamera;
    find("#stop").onclick = () => stopCamera();
    document.addEventListener("visibilitychange", () => document.hidden && stopCamera());
    window.addEventListener("pagehide", () => stopCamera());
    window.addEventListener("paste", ({ clipboardData }) => take([...clipboardData.files]));
    window.addEventListener("dragover", (event) => event.preventDefault());
    window.addEventListener("drop", (event) => {
        event.preventDefault();
        take([...event.dataTransfer.files]);
    });
    document.body.dataset.ready = "yes";
}

async function take(files) {
    for (const file of files) {
        const card = part("article", "card");
        find("#cards").prepend(card);
        find("#clear").hidden = false;
        const picture = await decodePicture(file).catch(() => null);
        if (!picture) {
            card.append(part("p", "broken", words.broken.replace("{name}", () => file.name)));
            continue;
        }
        const side = part("div", "side");
        side.append(part("p", "name", file.name), part("div", "answer"));
        card.append(thumbnail(picture.canvas, file.name), side);
        await ask(picture).then((answer) => showAnswer(side.lastChild, answer, true), giveUp);
    }
}

function thumbnail(picture, name) {
    const shrink = Math.min(SHOWN_SIDE / Math.max(picture.width, picture.height), 1);
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(Math.round(picture.width * shrink), 1);
    canvas.height = Math.max(Math.round(picture.height * shrink), 1);
    canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", name);
    return canvas;
}

async function startCamera() {
    find("#problem").textContent = "";
    if (!navigator.mediaDevices) return explain(words.insecure);
    const wanted = { facingMode: { ideal: "environment" }, width: { ideal: 640 } };
    // While the browser asks for leave, a second click would open a second stream that nothing stops.
    find("#start").disabled = true;
    try {
        stream = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
    } catch (error) {
        return explain(words[error.name] ?? words.NotReadableError);
    } finally {
        find("#start").disabled = false;
    }
    stream.getTracks().forEach((track) => (track.onended = () => stopCamera(words.unplugged)));
    find("video").srcObject = stream;
    find("#live").hidden = false;
    find("#start").hidden = true;
    find("#live .answer").replaceChildren();
    find("#rate").textContent = "";
    find("#stop").focus();
    if (document.hidden) return stopCamera();
    watch(stream).catch(giveUp);
}

function stopCamera(problem = "") {
    stream?.getTracks().forEach((track) => track.stop());
    find("video").srcObject = stream = null;
    find("#live").hidden = true;
    find("#start").hidden = false;
    if (problem) explain(problem);
}

function explain(problem) {
    find("#problem").textContent = problem;
}

// The next frame is taken when the last one has its answer; those between are dropped, never queued.
async function watch(watched) {
    const video = find("video");
    const answeredAt = [];
    while (stream === watched) {
        await nextFrame(video);
        if (stream !== watched || !video.videoWidth) continue;
        const answer = await ask(pixelsOf(video, video.videoWidth, video.videoHeight));
        if (stream !== watched) return;
        showAnswer(find("#live .answer"), answer, false);
        showRate(answeredAt);
    }
}

function nextFrame(video) {
    return new Promise((resolve) => {
        // Without a picture (a camera that was pulled out) the page is not to wait for ever.
        setTimeout(resolve, 1_000);
        if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(resolve);
        else requestAnimationFrame(resolve);
    });
}

function showRate(answeredAt) {
    const now = performance.now();
    answeredAt.push(now);
    while (now - answeredAt[0] > RATE_OVER) answeredAt.shift();
    if (now - answeredAt[0] < RATE_OVER / 3) return;
    const rate = ((answeredAt.length - 1) * 1_000) / (now - answeredAt[0]);
    write(find("#rate"), words.rate.replace("{count}", rate.toFixed(rate < 3 ? 1 : 0)));
}

// Bars keep their places while the camera runs; those of a photo stand in the order of their lengths.
function showAnswer(place, { best, probabilities, isKnown }, isRanked) {
    const ranked = probabilities.map((_, index) => index).sort((a, b) => probabilities[b] - probabilities[a]);
    const shown = ranked.slice(0, MOST_BARS);
    if (!isRanked) shown.sort((a, b) => a - b);
    if (!place.firstChild) {
        place.append(part("p", "said"), part("p", "guess"), part("div", "bars"));
        if (!isRanked) place.firstChild.setAttribute("role", "status");
    }
    const [said, guess, bars] = place.children;
    write(said, isKnown ? facts.classNames[best] : words.unknown);
    write(guess, isKnown ? "" : words.guess.replace("{name}", () => facts.classNames[best]));
    while (bars.children.length > shown.length) bars.lastChild.remove();
    shown.forEach((index, row) => {
        const bar = bars.children[row] ?? bars.appendChild(newBar());
        const [label, track, number] = bar.children;
        write(label, facts.classNames[index]);
        track.firstChild.style.transform = `scaleX(${probabilities[index]})`;
        write(number, probabilities[index].toLocaleString(undefined, { style: "percent", maximumFractionDigits: 1 }));
        bar.classList.toggle("best", index === best);
    });
}

function newBar() {
    const bar = part("div", "bar");
    const track = part("span", "track");
    track.setAttribute("aria-hidden", "true");
    track.append(part("span", "fill"));
    bar.append(part("span", "label"), track, part("span", "number"));
    return bar;
}

function part(tag, className, textContent = "") {
    return Object.assign(document.createElement(tag), { className, textContent });
}

// A status that is written anew is read out anew, though it says the same.
function write(element, text) {
    if (element.textContent !== text) element.textContent = text;
}

begin();
