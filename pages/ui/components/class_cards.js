// The classes of the quick start as cards: names, photos that are dropped or chosen, and one camera that records into a
// class while its button is held.
//
// Everything goes to the server as one stream of numbered messages, one on its way at a time. What the server says about
// the classes counts when nothing is on its way; until then the cards show what the person has done.

const MILLISECONDS_A_FRAME = 125;
const BATCH_BYTES = 4 * 1024 * 1024;
const BATCH_FILES = 24;
const MOST_THUMBNAILS = 12;
const THUMBNAIL_SIDE = 96; // pixels
const LEAST_CARDS = 2;
const SETTINGS = {
    videoWidth: 1280,
    longestSide: 640, // frames of eight a second reach the server in time, and the largest network takes 480
    quality: 0.92,
    focused: ".record",
};

export default drawOne(createCards);

function createCards() {
    const page = newId();
    let cards = [];
    let dataset = null;
    let number = 0;
    let outbox = [];
    let sent = null; // the message that waits for an answer
    let held = null; // the card that is recorded into
    let sentence = "";
    let reading = null; // photos that are read from files
    let lastRead = Promise.resolve(); // what is dropped meanwhile is read after them

    const find = (selector) => camera.find(selector);

    // Messages

    const post = (message) => {
        outbox.push(message);
        sendNext();
    };

    const sendNext = () => {
        if (sent || !outbox.length) return;
        sent = { ...outbox.shift(), page, number: ++number };
        send();
    };

    const send = () => {
        sent.sentAt = Date.now();
        camera.send("message", sent);
    };

    const takeAnswer = () => {
        const { data } = camera;
        if (sent && data.page === page && data.acknowledged >= sent.number) {
            sent = null;
            if (data.problem) sentence = "";
            sendNext();
        }
        if (!sent && !outbox.length && !held && !reading && data.classes) merge(data);
    };

    /** Take over the server's classes, each in the place that its card has. */
    const merge = ({ dataset: newDataset, classes, words }) => {
        const isAnother = newDataset !== dataset;
        const isOwn = dataset === null && classes.some(({ name }) => cards.some((card) => card.name === name));
        if (isAnother && !isOwn) cards = [];
        if (isAnother && !isOwn && dataset !== null) showFromTop();
        dataset = newDataset;
        const stored = new Map(classes.map((one) => [one.name, one]));
        cards = cards.filter((card) => card.isNew || stored.has(card.name));
        for (const { name, count, thumbnails } of classes) {
            let card = cards.find((one) => one.name === name);
            if (!card) cards.push((card = createCard(name)));
            Object.assign(card, { count, thumbnails, isNew: false });
        }
        fill(words);
    };

    /** Keep two cards at least; those that nobody has touched go as soon as there are others. */
    const fill = (words) => {
        const isSpare = (card) => card.isNew && card.isSpare;
        const others = cards.filter((card) => !isSpare(card));
        cards = [...others, ...cards.filter(isSpare)].slice(0, Math.max(others.length, LEAST_CARDS));
        while (cards.length < LEAST_CARDS) cards.push(Object.assign(createCard(freeName(words)), { isSpare: true }));
    };

    const showFromTop = () => {
        const top = camera.root.host ?? camera.root;
        if (top.getBoundingClientRect().top < 0) top.scrollIntoView({ block: "center" });
    };

    // Cards

    const freeName = (words) => {
        for (let place = 1; ; place++) {
            const name = words.class.replace("{number}", place);
            if (!cards.some((card) => card.name === name)) return name;
        }
    };

    const createCard = (name) => {
        const card = { name, count: 0, thumbnails: [], isNew: true, element: document.createElement("li") };
        card.element.className = "card";
        card.element.innerHTML = `
            <div class="head">
                <input type="text" class="name" autocomplete="off" spellcheck="false">
                <span class="count"></span>
                <button type="button" class="icon add"><span class="symbol" aria-hidden="true">add_photo_alternate</span></button>
                <button type="button" class="icon delete"><span class="symbol" aria-hidden="true">delete</span></button>
                <input type="file" multiple hidden accept="image/*,.heic,.heif,.avif">
            </div>
            <div class="strip" role="img"></div>
            <button type="button" class="record"></button>
            <button type="button" class="take"></button>`;
        const part = (selector) => card.element.querySelector(selector);
        const field = part(".name");
        field.onfocus = () => field.select();
        field.onkeydown = (event) => event.key === "Enter" && field.blur();
        field.onchange = () => rename(card, field.value.trim());
        const chooser = part("input[type=file]");
        part(".add").onclick = () => chooser.click();
        part(".strip").onclick = () => card.thumbnails.length || chooser.click();
        chooser.onchange = () => {
            addPhotos(card, Array.from(chooser.files));
            chooser.value = "";
        };
        part(".take").onclick = () => openCameraApp((photo) => addPhotos(card, [photo]));
        part(".delete").onclick = () => remove(card);
        holdToPress(part(".record"), () => press(card), release, () => held !== null);
        takeDrops(card.element, (files) => addPhotos(card, files));
        return card;
    };

    const rename = (card, name) => {
        const isTaken = cards.some((other) => other !== card && other.name === name);
        if (isTaken) sentence = camera.data.words.taken.replace("{name}", name);
        if (name && !isTaken && name !== card.name) {
            if (!card.isNew) post({ kind: "rename", class_name: card.name, new_name: name });
            Object.assign(card, { name, isSpare: false });
            sentence = "";
        }
        camera.show();
    };

    const remove = (card) => {
        if (!card.isNew) post({ kind: "delete", class_name: card.name });
        cards = cards.filter((other) => other !== card);
        fill(camera.data.words);
        camera.show();
        find(".another").focus();
    };

    const show = () => {
        const { words, problem, deleted } = camera.data;
        const list = find(".cards");
        const elements = cards.map((card) => card.element);
        if (elements.some((element, place) => list.children[place] !== element) || list.children.length !== elements.length)
            list.replaceChildren(...elements);
        cards.forEach((card) => showCard(card, words));
        if (HAS_CAMERA_APP_ALONE) find(".off").hidden = true;
        find(".mark").hidden = !held;
        find(".stop").textContent = "×";
        find(".stop").setAttribute("aria-label", words.stop);
        find(".stop").title = words.stop;
        find(".another").textContent = `+ ${words.another}`;
        find(".state").textContent = held ? words.recording : reading ? count(words.reading, reading) : sentence || problem || "";
        find(".notice").hidden = !deleted;
        find(".notice span").textContent = deleted;
        find(".undo").textContent = words.undo;
    };

    const showCard = (card, words) => {
        const part = (selector) => card.element.querySelector(selector);
        const field = part(".name");
        if (camera.root.activeElement !== field && document.activeElement !== field) field.value = card.name;
        field.maxLength = camera.data.max_name_length;
        field.setAttribute("aria-label", words.name);
        part(".count").textContent = card.count.toLocaleString(document.documentElement.lang);
        part(".count").setAttribute("aria-hidden", "true");
        label(part(".add"), `${words.add}: ${card.name}`);
        label(part(".delete"), `${words.delete}: ${card.name}`);
        const strip = part(".strip");
        strip.setAttribute("aria-label", words.photos.replace("{count}", card.count).replace("{name}", card.name));
        showThumbnails(strip, card.thumbnails, words.drop);
        const isHeld = held === card;
        card.element.classList.toggle("held", isHeld);
        const record = part(".record");
        record.hidden = !camera.stream;
        record.textContent = isHeld ? words.held : words.record;
        record.setAttribute("aria-label", `${isHeld ? words.held : words.record}: ${card.name}`);
        record.setAttribute("aria-pressed", String(isHeld));
        const take = part(".take");
        take.hidden = !HAS_CAMERA_APP_ALONE;
        take.textContent = words.take;
        take.setAttribute("aria-label", `${words.take}: ${card.name}`);
    };

    // Photos from files

    const addPhotos = (card, files) => {
        lastRead = lastRead.then(() => readPhotos(card, files));
    };

    const readPhotos = async (card, files) => {
        if (!files.length || !cards.includes(card)) return;
        const tooLarge = files.filter((file) => file.size > camera.data.max_file_bytes).length;
        const photos = files.filter((file) => file.size <= camera.data.max_file_bytes);
        reading = { done: 0, all: photos.length };
        sentence = tooLarge ? camera.data.words.too_large.replace("{count}", tooLarge) : "";
        let batch = [];
        let bytes = 0;
        const flush = () => {
            if (batch.length) post({ kind: "photos", class_name: card.name, recording: "", files: batch });
            if (batch.length) card.isNew = false;
            [batch, bytes] = [[], 0];
        };
        for (const file of photos) {
            if (batch.length === BATCH_FILES || (bytes && bytes + file.size > BATCH_BYTES)) flush();
            const [content, small] = await Promise.all([toBase64(file).catch(() => ""), smallCopy(file)]);
            if (content) batch.push({ name: file.name, content });
            bytes += file.size;
            reading.done += 1;
            if (small) addThumbnail(card, small);
            camera.show();
        }
        reading = null;
        flush();
        post({ kind: "end" });
        camera.show();
    };

    const addThumbnail = (card, address) => {
        card.count += 1;
        card.thumbnails = [address, ...card.thumbnails].slice(0, MOST_THUMBNAILS);
    };

    // The camera

    let recording = null;
    let clock = null;
    let lastFrame = "";

    const press = (card) => {
        if (held || !camera.stream) return;
        held = card;
        recording = newId();
        sentence = "";
        clock = setInterval(takeFrame, MILLISECONDS_A_FRAME);
        takeFrame();
        camera.show();
    };

    const takeFrame = () => {
        const content = camera.takeFrame();
        // A busy computer shows one picture of the camera for a while. The server would leave out the repeated photo.
        if (!content || content === lastFrame) return;
        lastFrame = content;
        addThumbnail(held, thumbnailOf(find("video"), find("video").videoWidth, find("video").videoHeight));
        const file = { name: `camera-${recording}-${String(held.count).padStart(4, "0")}.jpg`, content };
        const last = outbox.at(-1);
        // While a message is on its way, the frames go into the next one.
        if (last?.recording === recording) last.files.push(file);
        else post({ kind: "photos", class_name: held.name, recording, files: [file] });
        held.isNew = false;
        camera.show();
    };

    const release = () => {
        if (!held) return;
        clearInterval(clock);
        held = null;
        post({ kind: "end" });
        camera.show();
    };

    const attach = () => {
        find(".another").onclick = () => {
            const card = createCard(freeName(camera.data.words));
            cards.push(card);
            camera.show();
            card.element.querySelector(".name").focus();
        };
        find(".undo").onclick = () => post({ kind: "undo" });
        if (sent) send();
    };

    const begin = () => find(".problem").replaceChildren();
    const camera = createCamera(SETTINGS, { attach, show, takeAnswer, begin, end: release });
    setInterval(() => {
        if (sent && Date.now() - sent.sentAt > LOST_AFTER && camera.root && isOnPage(camera.root)) send();
    }, 1000);
    return camera;
}

function count(text, { done, all }) {
    return text.replace("{done}", done.toLocaleString(document.documentElement.lang)).replace("{all}", all.toLocaleString(document.documentElement.lang));
}

function label(element, text) {
    element.setAttribute("aria-label", text);
    element.title = text;
}

function showThumbnails(strip, addresses, emptyText) {
    if (!addresses.length) {
        strip.replaceChildren(Object.assign(document.createElement("span"), { className: "empty", textContent: emptyText }));
        return;
    }
    const known = new Map(Array.from(strip.querySelectorAll("img"), (image) => [image.src, image]));
    const images = addresses.map(
        (src) => known.get(src) ?? Object.assign(document.createElement("img"), { src, alt: "", className: "new" }),
    );
    Array.from(strip.children).forEach((child) => images.includes(child) || child.remove());
    // Moving an image again would start its animation again.
    images.forEach((image, place) => strip.children[place] === image || strip.insertBefore(image, strip.children[place]));
}

function takeDrops(element, take) {
    element.ondragover = (event) => {
        event.preventDefault();
        element.classList.add("over");
    };
    element.ondragleave = () => element.classList.remove("over");
    element.ondrop = (event) => {
        event.preventDefault();
        element.classList.remove("over");
        take(Array.from(event.dataTransfer.files));
    };
}

function thumbnailOf(source, width, height) {
    return squareCopy(source, width, height, THUMBNAIL_SIDE).toDataURL("image/jpeg", 0.8);
}

/** A small square of a photo; empty where the browser cannot show it. */
async function smallCopy(file) {
    try {
        const bitmap = await createImageBitmap(file);
        const address = thumbnailOf(bitmap, bitmap.width, bitmap.height);
        bitmap.close();
        return address;
    } catch {
        return "";
    }
}
