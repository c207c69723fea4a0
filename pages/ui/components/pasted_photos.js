// Sends what is pasted anywhere on the page, or read from the clipboard by the button, one file after another.
//
// A file without an answer is sent again; by its id the server recognises a repeated file.

const LOST_AFTER = 10_000; // milliseconds without an answer

export default drawOne(createPaster);

function createPaster() {
    let root = null;
    let data = {};
    let send = () => {};
    let waiting = []; // the first is on its way
    let clock = null;
    // Kept here: with the first photo the page draws the component at another place.
    let problem = "";
    const find = (selector) => root.querySelector(selector);

    const explain = (words) => {
        problem = words;
        find(".problem").textContent = problem;
    };

    const take = async (blobs) => {
        explain("");
        for (const blob of blobs) {
            if (waiting.length >= data.room) return explain(data.words.tooMany);
            if (blob.size > data.maxBytes) explain(data.words.tooLarge);
            else waiting.push({ id: newId(), name: blob.name ?? "", content: await toBase64(blob) });
            if (waiting.length === 1) sendFirst();
        }
    };

    const sendFirst = () => {
        clearTimeout(clock);
        find(".state").textContent = waiting.length ? data.words.waiting : "";
        if (!waiting.length) return;
        send("photo", waiting[0]);
        clock = setTimeout(() => (isOnPage(root) ? sendFirst() : (waiting = [])), LOST_AFTER);
    };

    const onPaste = (event) => {
        if (!root || !isOnPage(root)) return;
        const files = [...event.clipboardData.files];
        const text = event.clipboardData.getData("text/plain");
        if (!files.length && (isTextField(event.composedPath()[0]) || !text)) return;
        event.preventDefault();
        take(files.length ? files : [new Blob([text])]);
    };

    const readClipboard = async () => {
        let items;
        try {
            items = await navigator.clipboard.read();
        } catch {
            return explain(data.words.notAllowed);
        }
        const kinds = items.map((item) => item.types.find((type) => type.startsWith("image/")) ?? item.types[0]);
        const blobs = await Promise.all(items.map((item, index) => kinds[index] && item.getType(kinds[index])));
        const found = blobs.filter((blob) => blob?.size);
        if (found.length) take(found);
        else explain(data.words.empty);
    };

    document.addEventListener("paste", onPaste);
    return {
        update(newRoot, newData, newSend) {
            [root, data, send] = [newRoot, newData, newSend];
            find(".take").hidden = !HAS_CAMERA_APP_ALONE;
            find(".take").textContent = data.words.take;
            find(".take").onclick = () => openCameraApp((photo) => take([photo]));
            // Without https there is no clipboard either.
            find(".read").hidden = HAS_CAMERA_APP_ALONE;
            find(".read").textContent = data.words.button;
            find(".read").onclick = readClipboard;
            find(".hint").textContent = HAS_CAMERA_APP_ALONE ? "" : data.words.hint;
            if (find(".problem").textContent !== problem) find(".problem").textContent = problem;
            if (waiting.length && waiting[0].id === data.acknowledged) {
                waiting.shift();
                sendFirst();
            }
        },
    };
}

function isTextField(element) {
    return element instanceof HTMLElement && (element.isContentEditable || /^(INPUT|TEXTAREA)$/.test(element.tagName));
}
