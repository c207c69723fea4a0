// Photos in tiles that are changed in place: each may carry a check or a cross. The outcomes of several epochs that
// arrive at once are played one after the other.

const SVG = "http://www.w3.org/2000/svg";
const MARKS = { right: "M5 12.5L10 17.5L19 7", wrong: "M6.5 6.5L17.5 17.5M17.5 6.5L6.5 17.5" };
const MILLISECONDS_AN_EPOCH = 140;
const LARGEST = 128;
const SMALL = 36;
const MANY = 90;
const SMALLEST = 22;

// The photos of each set that came once. The server leaves them out afterwards, and sends those again that were dropped.
const sets = new Map();
const MOST_SETS = 4;

export default function ({ parentElement, data, setStateValue }) {
    const grid = (parentElement.grid ??= createGrid(parentElement));
    if (data.tiles && data.id) sets.set(data.id, data.tiles);
    if (sets.size > MOST_SETS) sets.delete(sets.keys().next().value);
    grid.update(data, data.tiles ?? sets.get(data.id) ?? []);
    const received = data.id && sets.has(data.id) ? data.id : "";
    if (data.received !== received) setStateValue("received", received);
    return () => grid.leave();
}

function createGrid(root) {
    const find = (selector) => root.querySelector(selector);
    const list = find(".tiles");
    const state = { data: null, id: null, tiles: [], shown: -1, timer: 0 };

    const layOut = () => {
        const { data, tiles } = state;
        const width = list.clientWidth;
        if (!data || !width) return;
        const gap = data.is_strip || tiles.length < MANY ? 6 : 3;
        const sideOf = (columns) => Math.min((width + gap) / columns - gap, LARGEST);
        const fits = (columns) => Math.ceil(tiles.length / columns) * (sideOf(columns) + gap) - gap <= data.height;
        let columns = data.is_strip ? Math.min(tiles.length, Math.floor((width + gap) / (data.height + gap))) : 1;
        while (!data.is_strip && sideOf(columns) > SMALLEST && !fits(columns)) columns += 1;
        const side = Math.floor(sideOf(columns) * 10) / 10;
        const style = list.style;
        style.setProperty("--side", `${side}px`);
        style.setProperty("--gap", `${gap}px`);
        style.setProperty("--frame", `${side < SMALL ? 2 : 3}px`);
        style.setProperty("--mark", `${Math.max(12, Math.round(side * 0.34))}px`);
        style.minHeight = `${data.is_strip ? side : data.height}px`;
        // The check mark would hide a small photo, so small tiles only mark mistakes.
        list.classList.toggle("small", side < SMALL);
    };

    const show = (place) => {
        const { data, tiles } = state;
        state.shown = place;
        const { epoch = null, digits = "" } = data.outcomes[place] ?? {};
        tiles.forEach((tile, index) => {
            const outcome = { 1: "right", 0: "wrong" }[digits[index]] ?? "";
            drawOutcome(list.children[index], tile, outcome, data.words[outcome]);
        });
        find(".head").hidden = !data.words.title;
        find(".head strong").textContent = data.words.title ?? "";
        const words = epoch === null ? data.words.count : data.words.count_in_epoch;
        const counts = { epoch, right: digits.replaceAll("0", "").length, count: digits.length };
        find(".count").textContent = digits
            ? words.replace(/\{(\w+)\}/g, (_, name) => counts[name].toLocaleString(document.documentElement.lang))
            : (data.words.waiting ?? "");
    };

    const play = () => {
        clearTimeout(state.timer);
        if (state.shown >= state.data.outcomes.length - 1) return;
        show(state.shown + 1);
        state.timer = setTimeout(play, MILLISECONDS_AN_EPOCH);
    };

    const watcher = new ResizeObserver(layOut);
    watcher.observe(list);

    return {
        update(data, tiles) {
            const isNewSet = data.id !== state.id;
            const last = data.outcomes.length - 1;
            Object.assign(state, { data, id: data.id, tiles });
            while (list.children.length > tiles.length) list.lastElementChild.remove();
            while (list.children.length < tiles.length) list.append(createTile());
            list.setAttribute("aria-label", data.words.described);
            const status = find("[role=status]");
            const words = data.words.status ?? "";
            if (status.textContent !== words) status.textContent = words;
            layOut();
            const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
            if (isNewSet || isCalm || state.shown >= last) show(last);
            else show(state.shown);
            play();
        },
        leave() {
            clearTimeout(state.timer);
            watcher.disconnect();
            root.grid = undefined;
        },
    };
}

function createTile() {
    const tile = document.createElement("li");
    tile.className = "tile";
    tile.append(document.createElement("img"));
    return tile;
}

function drawOutcome(tile, { source, alt }, outcome, word) {
    const image = tile.firstElementChild;
    if (source && image.getAttribute("src") !== source) image.src = source;
    if (!source) image.removeAttribute("src");
    image.alt = word ? `${alt}: ${word}` : alt;
    tile.title = image.alt;
    const present = ["right", "wrong"].find((name) => tile.classList.contains(name)) ?? "";
    if (present === outcome) return;
    tile.className = `tile ${outcome}`;
    tile.querySelector("svg")?.remove();
    if (!outcome) return;
    const mark = document.createElementNS(SVG, "svg");
    mark.setAttribute("viewBox", "0 0 24 24");
    mark.setAttribute("aria-hidden", "true");
    const line = document.createElementNS(SVG, "path");
    line.setAttribute("d", MARKS[outcome]);
    mark.append(line);
    tile.append(mark);
}
