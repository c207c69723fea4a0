"use strict";
// User interface of the exported page: photos that are picked, dropped or pasted, and the live camera.
// Write user-given names only as text, never as HTML.

const MAX_BARS = 8;
const MAX_THUMBNAIL_SIDE = 480; // pixels
const RATE_WINDOW = 3_000; // milliseconds
const spoken = chosenLanguage();
const words = facts.texts[spoken];
const find = (selector) => document.querySelector(selector);
let stream = null;

// The language of the address, such as ?lang=de, otherwise of the choice that was made in the app, of the browser, or
// of whoever exported the page.
function chosenLanguage() {
    const asked = new URLSearchParams(location.search).get("lang") ?? "";
    const wanted = [asked, keptLanguage(), ...navigator.languages];
    return wanted.map(bestLanguage).find(Boolean) ?? facts.language;
}

function keptLanguage() {
    try {
        return /\btransfer_studio_language=(\w+)/.exec(document.cookie)?.[1] ?? "";
    } catch {
        return ""; // A sandboxed frame may not read cookies.
    }
}

// Without a language of the region, that of another region is taken.
function bestLanguage(code) {
    const parts = code.toLowerCase().split(/[-_]/);
    const known = Object.keys(facts.texts);
    const exact = known.find((each) => each.toLowerCase() === parts.join("-"));
    return exact ?? known.find((each) => each.split("-")[0] === parts[0]);
}

function begin() {
    document.documentElement.lang = spoken;
    for (const name of ["hint", "choose", "start", "stop", "private", "clear", "about", "origin"]) {
        find(`#${name}`).textContent = words[name];
    }
    find("#licence").textContent = facts.licence;
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
        const card = newElement("article", "card");
        find("#cards").prepend(card);
        find("#clear").hidden = false;
        const picture = await decodePicture(file).catch(() => null);
        if (!picture) {
            card.append(newElement("p", "broken", words.broken.replace("{name}", () => file.name)));
            continue;
        }
        const side = newElement("div", "side");
        side.append(newElement("p", "name", file.name), newElement("div", "answer"));
        card.append(thumbnail(picture.canvas, file.name), side);
        await predict(picture).then((prediction) => showPrediction(side.lastChild, prediction, true), giveUp);
    }
}

function thumbnail(picture, name) {
    const shrink = Math.min(MAX_THUMBNAIL_SIDE / Math.max(picture.width, picture.height), 1);
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
    const constraints = { facingMode: { ideal: "environment" }, width: { ideal: 640 } };
    // Disable the button during the permission prompt: a second click would open a stream that nothing stops.
    find("#start").disabled = true;
    try {
        stream = await navigator.mediaDevices.getUserMedia({ video: constraints, audio: false });
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

// Take the next frame only after a prediction, so that frames are dropped instead of queued.
async function watch(watched) {
    const video = find("video");
    const predictedAt = [];
    while (stream === watched) {
        await nextFrame(video);
        if (stream !== watched || !video.videoWidth) continue;
        const prediction = await predict(pixelsOf(video, video.videoWidth, video.videoHeight));
        if (stream !== watched) return;
        showPrediction(find("#live .answer"), prediction, false);
        showRate(predictedAt);
    }
}

function nextFrame(video) {
    return new Promise((resolve) => {
        // Resolve anyway, because an unplugged camera sends no more frames.
        setTimeout(resolve, 1_000);
        if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(resolve);
        else requestAnimationFrame(resolve);
    });
}

function showRate(predictedAt) {
    const now = performance.now();
    predictedAt.push(now);
    while (now - predictedAt[0] > RATE_WINDOW) predictedAt.shift();
    if (now - predictedAt[0] < RATE_WINDOW / 3) return;
    const rate = ((predictedAt.length - 1) * 1_000) / (now - predictedAt[0]);
    const digits = rate < 3 ? 1 : 0;
    const shown = rate.toLocaleString(spoken, { minimumFractionDigits: digits, maximumFractionDigits: digits });
    write(find("#rate"), words.rate.replace("{count}", shown));
}

// Bars of the live camera keep their order; those of a photo are sorted by probability.
function showPrediction(place, { best, probabilities, isKnown }, isRanked) {
    const ranked = probabilities.map((_, index) => index).sort((a, b) => probabilities[b] - probabilities[a]);
    const shown = ranked.slice(0, MAX_BARS);
    if (!isRanked) shown.sort((a, b) => a - b);
    if (!place.firstChild) {
        place.append(newElement("p", "said"), newElement("p", "guess"), newElement("div", "bars"));
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
        write(number, probabilities[index].toLocaleString(spoken, { style: "percent", maximumFractionDigits: 1 }));
        bar.classList.toggle("best", index === best);
    });
}

function newBar() {
    const bar = newElement("div", "bar");
    const track = newElement("span", "track");
    track.setAttribute("aria-hidden", "true");
    track.append(newElement("span", "fill"));
    bar.append(newElement("span", "label"), track, newElement("span", "number"));
    return bar;
}

function newElement(tag, className, textContent = "") {
    return Object.assign(document.createElement(tag), { className, textContent });
}

// Skip equal texts, because screen readers announce a status again whenever it is written.
function write(element, text) {
    if (element.textContent !== text) element.textContent = text;
}

begin();
