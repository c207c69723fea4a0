// Sends the files of a folder in batches of some megabytes, each after the one before has been taken in.
// The browser's own upload starts all files at once and loses some beyond about a thousand.

const BATCH_BYTES = 16 * 1024 * 1024;
const BATCH_FILES = 200;

export default function ({ parentElement, data, setTriggerValue }) {
    const upload = (parentElement.folderUpload ??= createUpload(parentElement));
    upload.update(data, setTriggerValue);
    return () => upload.forget();
}

function createUpload(root) {
    const find = (selector) => root.querySelector(selector);
    const input = find("input");
    const drop = find(".drop");
    const state = { id: null, files: [], next: 0, taken: 0, batch: 0, waiting: false, sentLast: false, data: {}, send: () => {} };

    const show = () => {
        const { words } = state.data;
        const busy = state.id !== null;
        drop.hidden = busy;
        find(".progress").hidden = !busy;
        find(".choose").textContent = words.choose;
        find(".hint").textContent = words.hint;
        find(".stop").textContent = words.stop;
        const bar = find("progress");
        bar.max = Math.max(state.files.length, 1);
        bar.value = state.taken;
        bar.setAttribute("aria-label", words.progress);
        find(".count").textContent = `${state.taken.toLocaleString()} / ${state.files.length.toLocaleString()} ${words.files}`;
    };

    const start = (files) => {
        if (!files.length || state.id !== null) return;
        if (files.length > state.data.max_files) {
            find(".problem").textContent = state.data.words.too_many;
            return;
        }
        find(".problem").textContent = "";
        Object.assign(state, { id: `${Date.now()}-${Math.random()}`, files, next: 0, taken: 0, batch: 0 });
        show();
        find(".stop").focus();
        sendBatch();
    };

    const sendBatch = async () => {
        const chosen = [];
        let bytes = 0;
        while (state.next < state.files.length && chosen.length < BATCH_FILES) {
            const size = state.files[state.next].file?.size ?? 0;
            if (chosen.length && bytes + size > BATCH_BYTES) break;
            bytes += size;
            chosen.push(state.files[state.next]);
            state.next += 1;
        }
        const id = state.id;
        const files = await Promise.all(chosen.map(readFile));
        if (state.id !== id) return;
        state.batch += 1;
        state.waiting = true;
        state.sentLast = state.next >= state.files.length;
        state.send("batch", {
            upload: id,
            number: state.batch,
            files,
            is_last: state.sentLast,
        });
    };

    const readFile = async ({ path, file }) => {
        if (!file) return { path, content: null };
        if (file.size > state.data.max_file_bytes) return { path, content: null, is_too_large: true };
        try {
            return { path, content: await toBase64(file) };
        } catch {
            return { path, content: null };
        }
    };

    const stop = () => {
        // The batch under way is taken in; what has not been sent yet stays out. An empty last batch ends it.
        state.files = state.files.slice(0, state.next);
        show();
    };

    input.onchange = () => {
        start(Array.from(input.files, (file) => ({ path: file.webkitRelativePath, file })));
        input.value = "";
    };
    find(".choose").onclick = () => input.click();
    find(".stop").onclick = stop;
    drop.ondragover = (event) => {
        event.preventDefault();
        drop.classList.add("over");
    };
    drop.ondragleave = () => drop.classList.remove("over");
    drop.ondrop = async (event) => {
        event.preventDefault();
        drop.classList.remove("over");
        const entries = Array.from(event.dataTransfer.items, (item) => item.webkitGetAsEntry()).filter(Boolean);
        // Several class folders dropped together stand for the folder around them.
        const around = entries.length > 1 ? `${state.data.words.dropped}/` : "";
        start((await Promise.all(entries.map((entry) => walk(entry, around)))).flat());
    };

    return {
        update(data, send) {
            Object.assign(state, { data, send });
            if (state.waiting && data.upload === state.id && data.acknowledged === state.batch) {
                state.waiting = false;
                state.taken = state.next;
                if (state.sentLast) state.id = null;
                else sendBatch();
            }
            show();
        },
        forget() {
            if (!root.isConnected && !root.host?.isConnected) state.id = null;
        },
    };
}

function toBase64(file) {
    return new Promise((resolve, reject) => {
        const reader = new FileReader();
        reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
        reader.onerror = () => reject(reader.error);
        reader.readAsDataURL(file);
    });
}

async function walk(entry, parent) {
    const path = parent + entry.name;
    const found = [];
    try {
        if (entry.isFile) return [{ path, file: await new Promise((resolve, reject) => entry.file(resolve, reject)) }];
        const reader = entry.createReader();
        for (;;) {
            const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
            if (!some.length) break;
            found.push(...some);
        }
    } catch {
        // Sent without content, so that it is listed among what was left out.
        return [{ path, file: null }];
    }
    return (await Promise.all(found.map((child) => walk(child, `${path}/`)))).flat();
}
