// Sends the files of a folder in batches of some megabytes, each after the server has said that the one before is
// taken in and saved. The browser's own upload starts all files at once and loses some beyond about a thousand.
//
// A batch without an answer is sent again; by its number the server recognises a repeated batch. The progress is kept in
// the browser's storage, so that after a reload the same folder continues where it stopped.

const BATCH_BYTES = 4 * 1024 * 1024;
const BATCH_FILES = 200;
const SEND_AGAIN_AFTER = 20_000; // milliseconds
const SURELY_LOST_AFTER = 3_000; // when the server has drawn the page since, without the batch
const THUMBNAIL_SIDE = 160; // pixels
const STRIP_SIDE = 128; // pixels
const MOST_STRIPS = 6; // folders of which photos are shown while they arrive
const PHOTOS_A_STRIP = 12;
const MOST_TABLES = 40;
const MOST_TABLE_BYTES = 32 * 1024 * 1024;
const NOTE = "transfer-studio-upload";
const LINGERS_FOR = 1_500; // milliseconds
const CHECK_EVERY = 1_000; // milliseconds; a part of the page may wait for a result

export default drawOne(createUpload, CHECK_EVERY);

function createUpload() {
    let root = null;
    const find = (selector) => root.querySelector(selector);
    let data = {};
    let send = () => {};
    let job = null; // the upload that is under way
    let isListing = false;
    let lingers = false; // the end is shown until the page is drawn with the photos

    const show = () => {
        if (lingers) return;
        const { words } = data;
        const isAsked = job !== null && Boolean(data.asks) && data.upload === job.id;
        if (!job) find(".arriving").replaceChildren();
        const isBusy = isListing || (job !== null && !isAsked);
        find(".drop").hidden = isBusy || isAsked;
        find(".progress").hidden = !isBusy;
        find(".choose").textContent = words.choose;
        find(".choose").classList.toggle("primary", data.is_primary);
        find(".hint").textContent = words.hint;
        find(".unfinished").textContent = job ? "" : describeUnfinished(data);
        find(".choose").hidden = find(".hint").hidden = data.is_folded;
        if (data.is_folded && !find(".unfinished").textContent) find(".drop").hidden = true;
        find(".stop").textContent = job?.isStopping ? words.stopping : words.stop;
        find(".stop").disabled = !job || job.isStopping;
        find(".trouble").textContent = job?.isSentAgain ? words.again : "";
        const bar = find("progress");
        bar.setAttribute("aria-label", words.progress);
        if (job) bar.value = job.takenBytes / Math.max(job.totalBytes, 1);
        else bar.removeAttribute("value");
        find(".count").textContent = job ? describeProgress(job, words) : words.listing;
    };

    const start = async (files) => {
        const named = files
            .map(({ path, file }) => ({ path, file, isTooLarge: file?.size > data.max_file_bytes }))
            .sort((one, other) => (one.path < other.path ? -1 : 1));
        const tables = findTables(named, data.table_endings);
        const others = named.filter((file) => !tables.includes(file));
        if (others.length > data.max_files) return refuse(data.words.too_many);
        if (!named.length) return refuse(data.words.empty);
        const signature = signatureOf(named);
        const note = readNote();
        const goesOn = note?.signature === signature && note.dataset === data.chosen;
        const listing = {
            paths: others.map(({ path }) => path),
            tables: await Promise.all(tables.map((file) => readPart(file, 0, Infinity))),
        };
        job = {
            id: `${Date.now()}-${Math.random()}`,
            name: named[0].path.split("/")[0],
            signature,
            files: others,
            listing,
            dataset: goesOn ? note.dataset : null,
            number: 0,
            isStopping: false,
            isSentAgain: false,
            totalBytes: sizeOf(others),
        };
        window.addEventListener("beforeunload", askToStay);
        find(".problem").textContent = "";
        beginAt(goesOn ? note.taken : 0);
        show();
        showPhotos(job, find(".arriving"));
        find(".stop").focus();
    };

    /** Send from a file on; those before it are on the server's disk. */
    const beginAt = (file) => {
        clearTimeout(job.timer);
        Object.assign(job, { saved: file, taken: { file, offset: 0 }, batch: null, startedAt: Date.now() });
        job.takenBytes = job.skippedBytes = sizeOf(job.files.slice(0, file));
        job.ends = { [job.number]: file };
        sendNext(job, pack(job.files, job.taken));
    };

    /** Show some photos of each folder straight from the disk, a row for each folder. */
    const showPhotos = async (current, strips) => {
        strips.replaceChildren();
        for (const [name, photos] of photosByFolder(current.files)) {
            const row = document.createElement("div");
            const title = Object.assign(document.createElement("strong"), { textContent: name });
            const strip = Object.assign(document.createElement("div"), { className: "photos" });
            row.append(title, strip);
            strips.append(row);
            for (const { file } of photos) {
                if (job !== current) return;
                const picture = await drawSmall(file);
                if (picture) strip.append(picture);
            }
            if (!strip.childElementCount) row.remove();
        }
    };

    const refuse = (sentence) => {
        find(".problem").textContent = sentence;
    };

    const sendNext = async (current, packing) => {
        const batch = current.isStopping ? { files: [], bytes: 0, until: current.taken } : await packing;
        if (job !== current) return;
        current.number += 1;
        current.batch = batch;
        current.isLast = current.isStopping || batch.until.file >= current.files.length;
        post();
        // Read ahead while the server is at work.
        current.packing = current.isLast ? null : pack(current.files, batch.until);
    };

    const post = () => {
        job.sentAt = Date.now();
        job.isWaiting = false;
        job.isListed = data.upload === job.id;
        clearTimeout(job.timer);
        job.timer = setTimeout(postAgain, SEND_AGAIN_AFTER);
        send("batch", {
            upload: job.id,
            number: job.number,
            name: job.name,
            dataset: job.dataset,
            // Which class a file has is only clear from all paths and tables together.
            listing: job.isListed ? null : job.listing,
            files: job.batch.files,
            is_last: job.isLast,
            is_stopped: job.isStopping,
        });
    };

    const postAgain = () => {
        job.isSentAgain = true;
        show();
        post();
    };

    const takeAnswer = () => {
        const isKnown = data.upload === job.id;
        if (isKnown && data.has_failed) end();
        else if (isKnown && data.asks) wait();
        else if (isKnown && job.isWaiting) post();
        else if (isKnown && data.acknowledged >= job.number) goOn();
        // The server was started again: what it had not saved yet is sent once more.
        else if (!isKnown && job.isListed) beginAt(job.saved);
        // It has drawn the page without the batch.
        else if (Date.now() - job.sentAt > SURELY_LOST_AFTER) postAgain();
    };

    /** The person is asked what the folders mean: show some photos meanwhile, and send nothing else. */
    const wait = async () => {
        const current = job;
        clearTimeout(current.timer);
        if (current.isWaiting) return;
        current.isWaiting = true;
        const wanted = new Set(data.asks);
        const shown = current.files.filter(({ path }) => wanted.has(path));
        const files = await Promise.all(
            shown.map(async ({ path, file }) => ({ path, content: await makeThumbnail(file) })),
        );
        if (job === current) send("thumbnails", { upload: current.id, files, is_over: false });
    };

    const goOn = () => {
        const current = job;
        clearTimeout(current.timer);
        current.isSentAgain = false;
        current.dataset = data.dataset ?? current.dataset;
        current.taken = current.batch.until;
        current.takenBytes += current.batch.bytes;
        current.batch = null;
        current.ends[current.number] = current.taken.file;
        current.saved = current.ends[data.saved] ?? current.saved;
        writeNote(current);
        if (current.isLast) finish();
        else sendNext(current, current.packing);
    };

    const finish = () => {
        show();
        end();
        lingers = true;
        setTimeout(() => {
            lingers = false;
            find(".arriving").replaceChildren();
            show();
        }, LINGERS_FOR);
    };

    const end = () => {
        clearTimeout(job.timer);
        window.removeEventListener("beforeunload", askToStay);
        job = null;
    };

    const takeDropped = async (items) => {
        const entries = Array.from(items, (item) => item.webkitGetAsEntry()).filter(Boolean);
        // Several things dropped together stand for a folder around them.
        const around = entries.length > 1 ? `${data.words.dropped}/` : "";
        isListing = true;
        show();
        const files = (await Promise.all(entries.map((entry) => list(entry, around)))).flat();
        isListing = false;
        await start(files);
        show();
    };

    const attach = () => {
        const drop = find(".drop");
        const input = find("input");
        input.onchange = async () => {
            await start(Array.from(input.files, (file) => ({ path: file.webkitRelativePath, file })));
            input.value = "";
        };
        find(".choose").onclick = () => input.click();
        find(".stop").onclick = () => {
            // The batch under way is taken in; what has not been sent yet stays out. An empty last batch ends it.
            job.isStopping = true;
            show();
        };
        drop.ondragover = (event) => {
            event.preventDefault();
            drop.classList.add("over");
        };
        drop.ondragleave = () => drop.classList.remove("over");
        drop.ondrop = (event) => {
            event.preventDefault();
            drop.classList.remove("over");
            takeDropped(event.dataTransfer.items);
        };
    };

    return {
        update(newRoot, newData, newSend) {
            data = newData;
            send = newSend;
            if (root !== newRoot) {
                root = newRoot;
                lingers = false;
                attach();
            }
            if (job?.batch) takeAnswer();
            else if (!job && data.asks) send("thumbnails", { upload: data.upload, files: [], is_over: true });
            else if (!job && data.is_open) send("left", { upload: data.upload });
            show();
        },
        leave() {
            if (job) end();
        },
    };
}

function askToStay(event) {
    event.preventDefault();
}

/** The next batch from a position on: whole files, or a part of one that is larger than a batch. */
async function pack(files, { file, offset }) {
    const parts = [];
    let bytes = 0;
    while (file < files.length && parts.length < BATCH_FILES) {
        const rest = sizeOf([files[file]]) - offset;
        if (bytes && bytes + rest > BATCH_BYTES) break;
        const length = Math.min(rest, BATCH_BYTES);
        parts.push(readPart(files[file], offset, length));
        bytes += length;
        [file, offset] = length < rest ? [file, offset + length] : [file + 1, 0];
    }
    return { files: await Promise.all(parts), bytes, until: { file, offset } };
}

/** A file as it is sent; without content when the browser cannot read it, so that it is listed as left out. */
async function readPart({ path, file, isTooLarge }, offset, length) {
    const unread = { path, content: null, is_too_large: Boolean(isTooLarge) };
    if (!file || isTooLarge) return unread;
    try {
        const content = await toBase64(file.slice(offset, offset + length));
        return { path, content, offset, is_end: offset + length >= file.size };
    } catch {
        return unread;
    }
}

/** The files that may be tables: those near the top first, and none of a single photo, such as its boxes. */
function findTables(files, endings) {
    const depth = ({ path }) => path.split("/").length;
    const isTable = ({ path }) => endings.some((ending) => path.toLowerCase().endsWith(ending));
    const stem = ({ path }) => path.split("/").at(-1).replace(/\.[^.]*$/, "");
    const photos = new Set(files.filter((file) => !isTable(file)).map(stem));
    const found = files.filter((file) => isTable(file) && !photos.has(stem(file)));
    let bytes = 0;
    return found
        .sort((one, other) => depth(one) - depth(other) || sizeOf([other]) - sizeOf([one]))
        .slice(0, MOST_TABLES)
        .filter((file) => (bytes += sizeOf([file])) <= MOST_TABLE_BYTES);
}

/** The first photos of the first folders, by the name of their folder. */
function photosByFolder(files) {
    const folders = new Map();
    for (const found of files) {
        const name = found.path.split("/").at(-2) ?? "";
        if (!found.file || found.isTooLarge || (!folders.has(name) && folders.size >= MOST_STRIPS)) continue;
        const photos = folders.get(name) ?? [];
        folders.set(name, photos);
        if (photos.length < PHOTOS_A_STRIP) photos.push(found);
    }
    return folders;
}

/** A small copy of a photo as a canvas, cut to a square; null where the browser cannot show it. */
async function drawSmall(file) {
    try {
        const bitmap = await createImageBitmap(file);
        const canvas = squareCopy(bitmap, bitmap.width, bitmap.height, STRIP_SIDE);
        bitmap.close();
        return canvas;
    } catch {
        return null;
    }
}

/** A small JPEG of a photo in base64; empty where the browser cannot show it. */
async function makeThumbnail(file) {
    try {
        const bitmap = await createImageBitmap(file);
        const scale = Math.min(1, THUMBNAIL_SIDE / Math.max(bitmap.width, bitmap.height));
        const canvas = new OffscreenCanvas(
            Math.max(1, Math.round(bitmap.width * scale)),
            Math.max(1, Math.round(bitmap.height * scale)),
        );
        canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
        bitmap.close();
        return await toBase64(await canvas.convertToBlob({ type: "image/jpeg" }));
    } catch {
        return "";
    }
}

/** All files in what was dropped, with their paths. */
async function list(entry, parent) {
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
        return [{ path, file: null }];
    }
    return (await Promise.all(found.map((child) => list(child, `${path}/`)))).flat();
}

function sizeOf(files) {
    return files.reduce((sum, { file, isTooLarge }) => sum + (isTooLarge ? 0 : (file?.size ?? 0)), 0);
}

/** Tells one list of files from another: by number, bytes and a hash of all names, sizes and times. */
function signatureOf(files) {
    let hash = 0;
    for (const { path, file } of files) {
        for (const letter of `${path}/${file?.size}/${file?.lastModified}`) {
            hash = (Math.imul(hash, 31) + letter.codePointAt(0)) | 0;
        }
    }
    return `${files.length}-${sizeOf(files)}-${hash}`;
}

function readNote() {
    try {
        return JSON.parse(localStorage.getItem(NOTE));
    } catch {
        return null;
    }
}

function writeNote({ dataset, name, signature, saved, files }) {
    try {
        if (saved >= files.length) localStorage.removeItem(NOTE);
        else if (dataset) {
            const note = { dataset, name, signature, taken: saved, total: files.length };
            localStorage.setItem(NOTE, JSON.stringify(note));
        }
    } catch {
        // No storage in this browser: a folder that is brought again is then sent as a whole, and known again.
    }
}

function describeUnfinished({ chosen, words }) {
    const note = readNote();
    return note && note.dataset === chosen ? fill(words.unfinished, note) : "";
}

function describeProgress({ files, taken, takenBytes, skippedBytes, totalBytes, startedAt }, words) {
    const megabytes = (bytes) => Math.round(bytes / 1e6);
    const parts = [
        fill(words.count, { taken: taken.file, total: files.length }),
        fill(words.megabytes, { taken: megabytes(takenBytes), total: megabytes(totalBytes) }),
    ];
    const sent = takenBytes - skippedBytes;
    if (sent) {
        const seconds = ((Date.now() - startedAt) / 1000 / sent) * (totalBytes - takenBytes);
        parts.push(
            seconds < 90
                ? fill(words.seconds_left, { count: Math.ceil(seconds) })
                : fill(words.minutes_left, { count: Math.round(seconds / 60) }),
        );
    }
    return parts.join(" · ");
}

function fill(sentence, values) {
    return sentence.replace(/\{(\w+)\}/g, (_, name) => values[name].toLocaleString?.(document.documentElement.lang) ?? values[name]);
}
