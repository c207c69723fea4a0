"use strict";
// Takes photos into the classes of a dataset and sends them one after another. A photo is kept in the phone until the
// server has acknowledged it; by its id the server recognizes a repeated photo.
// Write names only as text, never as HTML.

const MOST_THUMBNAILS = 6;
const THUMBNAIL_SIDE = 112; // pixels
const SHORTEST_PAUSE = 1_000; // milliseconds before a photo is sent again, doubled each time
const LONGEST_PAUSE = 10_000;
const LOST_AFTER = 30_000; // milliseconds without an answer
const ASKED_EVERY = 5_000; // milliseconds; photos also arrive from other phones

const facts = JSON.parse(document.querySelector("#facts").textContent);
const { words } = facts;
const here = location.pathname.replace(/\/$/, "");
const find = (selector) => document.querySelector(selector);

let classes = facts.classes; // as the server knows them: {name, count, photos}
const named = []; // classes without a photo yet
let waiting = []; // photos that are not acknowledged: {id, name, blob, address}
let numReading = 0;
let numDone = 0;
let isSending = false;
let isOver = false; // the code has expired
let pause = SHORTEST_PAUSE;
let wakeUp = () => {};
let sentence = "";
let delay = ""; // why the server lets a photo wait
const cards = new Map(); // the element of each class by its name
const ownThumbnails = new Map(); // of photos that this page has taken, by class

// Photos that are not sent yet, kept over a reload of the page. Without this storage everything is in memory alone.

let store = null;

function openStore() {
    return new Promise((resolve) => {
        try {
            const opening = indexedDB.open("transfer-studio-phone", 1);
            opening.onupgradeneeded = () => opening.result.createObjectStore("photos", { keyPath: "id" });
            opening.onsuccess = () => resolve(opening.result);
            opening.onerror = opening.onblocked = () => resolve(null);
        } catch {
            resolve(null);
        }
    });
}

function inStore(mode, work) {
    return new Promise((resolve) => {
        if (!store) return resolve(null);
        try {
            const transaction = store.transaction("photos", mode);
            const request = work(transaction.objectStore("photos"));
            transaction.oncomplete = () => resolve(request.result);
            transaction.onerror = transaction.onabort = () => resolve(null);
        } catch {
            resolve(null);
        }
    });
}

async function restore() {
    store = await openStore();
    const kept = (await inStore("readonly", (photos) => photos.getAll())) ?? [];
    for (const { id, dataset, name, content } of kept) {
        if (dataset === facts.dataset) queue({ id, name, blob: new Blob([content], { type: "image/jpeg" }) });
    }
    show();
    sendAll();
}

// Taking photos

async function take(name, input) {
    const files = [...input.files];
    input.value = "";
    sentence = "";
    numReading += files.length;
    show();
    for (const file of files) {
        const blob = await shrunkPhoto(file);
        numReading -= 1;
        if (blob.size > facts.maxBytes) {
            sentence = words.tooLarge;
            show();
            continue;
        }
        const photo = { id: newId(), name, blob };
        queue(photo);
        // An array buffer, because some browsers cannot store a blob.
        const content = await blob.arrayBuffer().catch(() => null);
        if (content) await inStore("readwrite", (photos) => photos.put({ id: photo.id, dataset: facts.dataset, name, content }));
        show();
        sendAll();
    }
    show();
}

function queue(photo) {
    photo.address = URL.createObjectURL(photo.blob);
    waiting.push(photo);
    if (!named.includes(photo.name) && !classes.some(({ name }) => name === photo.name)) named.push(photo.name);
}

function newId() {
    const random = crypto.getRandomValues(new Uint32Array(2));
    return `${Date.now()}-${[...random].map((part) => part.toString(36)).join("")}`;
}

// Sending

async function sendAll() {
    if (isSending || isOver) return;
    isSending = true;
    while (waiting.length && !isOver) {
        const isAnswered = await send(waiting[0]);
        show();
        if (!isAnswered && !isOver) await rest();
    }
    isSending = false;
    show();
}

// Send one photo and return whether the server has answered for it.
async function send(photo) {
    const address = `${here}/photos?${new URLSearchParams({ id: photo.id, name: photo.name })}`;
    const answer = await ask(address, { method: "POST", body: photo.blob, headers: { "Content-Type": "image/jpeg" } });
    delay = "";
    if (!answer) return false;
    const { status, body } = answer;
    if (status === 429 || status >= 500) {
        delay = body.problem ?? "";
        return false;
    }
    if (status === 404) {
        end(body.problem);
        return false;
    }
    if (body.problem) sentence = body.problem;
    waiting = waiting.filter((other) => other !== photo);
    await inStore("readwrite", (photos) => photos.delete(photo.id));
    numDone += 1;
    pause = SHORTEST_PAUSE;
    if (status === 200 && !body.problem) {
        const shown = ownThumbnails.get(photo.name) ?? [];
        ownThumbnails.set(photo.name, [photo.address, ...shown].slice(0, MOST_THUMBNAILS));
        for (const old of shown.slice(MOST_THUMBNAILS - 1)) URL.revokeObjectURL(old);
    }
    if (body.classes) takeClasses(body.classes);
    return true;
}

async function ask(address, options = {}) {
    const ending = new AbortController();
    const clock = setTimeout(() => ending.abort(), LOST_AFTER);
    try {
        const response = await fetch(address, { ...options, signal: ending.signal, cache: "no-store" });
        return { status: response.status, body: await response.json().catch(() => ({})) };
    } catch {
        return null; // no network, or no answer in time
    } finally {
        clearTimeout(clock);
    }
}

function rest() {
    const milliseconds = pause;
    pause = Math.min(2 * pause, LONGEST_PAUSE);
    show();
    return new Promise((resolve) => {
        const clock = setTimeout(resolve, milliseconds);
        wakeUp = () => {
            clearTimeout(clock);
            pause = SHORTEST_PAUSE;
            resolve();
        };
    });
}

async function askForClasses() {
    if (document.hidden || isOver || isSending) return;
    const answer = await ask(`${here}/classes`);
    if (answer?.status === 404) end(answer.body.problem);
    else if (answer?.status === 200 && !isSending) takeClasses(answer.body.classes);
    show();
}

function takeClasses(found) {
    classes = found;
    for (const { name } of found) if (named.includes(name)) named.splice(named.indexOf(name), 1);
}

function end(problem) {
    isOver = true;
    sentence = problem || words.expired;
}

// Showing

function show() {
    find("h1").textContent = words.title;
    find(".hint").textContent = !classes.length && !named.length ? words.begin : words.hint;
    find(".trouble").textContent = sentence;
    const known = [...classes, ...named.map((name) => ({ name, count: 0, photos: [] }))];
    // A class keeps its place under the finger.
    const places = [...cards.keys()];
    const placeOf = ({ name }) => (cards.has(name) ? places.indexOf(name) : places.length);
    known.sort((one, other) => placeOf(one) - placeOf(other));
    for (const [name, card] of cards) {
        if (known.some((one) => one.name === name)) continue;
        card.remove();
        cards.delete(name);
    }
    known.forEach((one, place) => {
        const card = cards.get(one.name) ?? newCard(one.name);
        if (find(".classes").children[place] !== card) find(".classes").insertBefore(card, find(".classes").children[place] ?? null);
        showCard(card, one);
    });
    find(".another span").textContent = known.length ? words.another : words.name;
    find(".another").hidden = isOver;
    find(".classes").classList.toggle("over", isOver);
    showProgress();
}

function newCard(name) {
    const card = find("template").content.firstElementChild.cloneNode(true);
    card.querySelector(".name").textContent = name;
    card.querySelector(".choose span").textContent = words.gallery;
    const labels = [words.take, words.choose];
    card.querySelectorAll("input").forEach((input, place) => {
        input.setAttribute("aria-label", labels[place].replace("{name}", () => name));
        input.onchange = () => take(name, input);
    });
    cards.set(name, card);
    return card;
}

function showCard(card, { name, count, photos }) {
    const ofClass = waiting.filter((photo) => photo.name === name);
    card.querySelector(".count").textContent = (count + ofClass.length).toLocaleString(document.documentElement.lang);
    card.querySelectorAll("input").forEach((input) => (input.disabled = isOver));
    const own = ownThumbnails.get(name) ?? [];
    const stored = own.length ? [] : photos.map((id) => `${here}/photos/${id}`);
    const shown = [...ofClass.map(({ address }) => address).reverse(), ...own, ...stored].slice(0, MOST_THUMBNAILS);
    const strip = card.querySelector(".photos");
    const present = new Map([...strip.children].map((image) => [image.dataset.address, image]));
    strip.replaceChildren(...shown.map((address) => present.get(address) ?? newPicture(address)));
    for (const image of strip.children) {
        image.classList.toggle("waiting", ofClass.some((photo) => photo.address === image.dataset.address));
    }
}

function newPicture(address) {
    const image = Object.assign(new Image(THUMBNAIL_SIDE / 2, THUMBNAIL_SIDE / 2), { src: address, alt: "" });
    image.dataset.address = address;
    image.onerror = () => (image.hidden = true);
    return image;
}

function showProgress() {
    const left = waiting.length + numReading;
    if (!left && !isSending) numDone = 0;
    const all = numDone + left;
    const bar = find("progress");
    bar.hidden = !left;
    bar.max = all || 1;
    bar.value = numDone;
    bar.setAttribute("aria-label", words.progress);
    const isStuck = left && pause > SHORTEST_PAUSE;
    const kept = store ? words.kept : words.keepOpen;
    const text = isStuck ? delay || words.stuck : left ? words.sending : lastWords();
    const filled = text.replace("{done}", numDone.toLocaleString(document.documentElement.lang)).replace("{all}", all.toLocaleString(document.documentElement.lang));
    write(find(".state"), isStuck || (left && !store) ? `${filled} ${kept}` : filled);
    find(".again").hidden = !isStuck || isOver;
    find(".again").textContent = words.again;
}

function lastWords() {
    return classes.some(({ count }) => count) ? words.all : words.none;
}

// A screen reader reads a status again whenever it is written, even when the text is the same.
function write(element, text) {
    if (element.textContent !== text) element.textContent = text;
}

find(".another button").textContent = words.add;
find(".another input").maxLength = facts.maxNameLength;
find(".another input").placeholder = words.example;
find(".another").onsubmit = (event) => {
    event.preventDefault();
    const name = find(".another input").value.trim().replace(/\s+/g, " ").normalize("NFC");
    if (!name) return;
    if (!named.includes(name) && !classes.some((one) => one.name === name)) named.push(name);
    find(".another input").value = "";
    show();
    cards.get(name).querySelector("input").focus();
};
find(".again").onclick = () => wakeUp();
addEventListener("online", () => wakeUp());
document.addEventListener("visibilitychange", () => {
    if (!document.hidden) wakeUp();
});
addEventListener("beforeunload", (event) => {
    if (waiting.length && !store) event.preventDefault();
});
setInterval(askForClasses, ASKED_EVERY);
show();
restore();
