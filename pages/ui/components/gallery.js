// Tiles that are selected with mouse or keyboard, and the actions on the selected ones.
// The selection stays in the browser; only an action goes to the server.
//
// All tiles are one tab stop: the arrow keys move among them (roving tabindex, WAI-ARIA Authoring Practices).

const NEW_CLASS = "\u0000new";

export default function ({ parentElement, data, setTriggerValue }) {
    const gallery = (parentElement.gallery ??= createGallery(parentElement));
    gallery.update(data, setTriggerValue);
}

function createGallery(root) {
    const find = (selector) => root.querySelector(selector);
    const tiles = find(".tiles");
    const select = find("select");
    const newClass = find(".new-class");
    const state = { data: { words: {}, tiles: [] }, send: () => {}, shown: "", last: null };

    const boxes = () => Array.from(tiles.querySelectorAll("input"));
    const chosen = () => boxes().filter((box) => box.checked).map((box) => box.value);

    const refresh = () => {
        const { words } = state.data;
        const ids = chosen();
        const isNew = select.value === NEW_CLASS;
        find(".acts").hidden = ids.length === 0;
        find(".none").disabled = ids.length === 0;
        find(".chosen").textContent = words.chosen?.replace("{count}", ids.length.toLocaleString(document.documentElement.lang)) ?? "";
        newClass.hidden = !isNew || !state.data.can_move;
        find(".move").disabled = isNew && !newClass.value.trim();
    };

    const act = (kind, className = "") => state.send("action", { kind, ids: chosen(), class_name: className });

    const drawTiles = () => {
        const shown = state.data.are_out + JSON.stringify(state.data.tiles.map(({ id, label, note }) => [id, label, note]));
        if (shown === state.shown) return;
        state.shown = shown;
        state.last = null;
        tiles.replaceChildren(...state.data.tiles.map(createTile));
        boxes().forEach((box, place) => (box.tabIndex = place ? -1 : 0));
    };

    const numColumns = (all) => {
        const top = all[0].closest(".tile").offsetTop;
        const below = all.findIndex((box) => box.closest(".tile").offsetTop > top);
        return below < 0 ? all.length : below;
    };

    const move = (event) => {
        const all = boxes();
        const here = all.indexOf(event.target);
        if (here < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
        const columns = numColumns(all);
        const steps = {
            ArrowLeft: here - 1,
            ArrowRight: here + 1,
            ArrowUp: here - columns,
            ArrowDown: here + columns,
            Home: 0,
            End: all.length - 1,
        };
        const there = steps[event.key];
        if (there === undefined) return;
        event.preventDefault();
        if (!all[there]) return;
        if (event.shiftKey) {
            const [first, last] = [Math.min(here, there), Math.max(here, there)];
            all.slice(first, last + 1).forEach((box) => (box.checked = true));
            state.last = there;
            refresh();
        }
        all[there].focus();
    };

    const createTile = ({ id, source, label, note, alt }) => {
        const tile = document.createElement("label");
        tile.className = state.data.are_out ? "tile out" : "tile";
        const box = Object.assign(document.createElement("input"), { type: "checkbox", value: id });
        box.setAttribute("aria-label", alt);
        const picture = Object.assign(document.createElement("img"), { src: source, alt: "", loading: "lazy" });
        const name = Object.assign(document.createElement("span"), { className: "label", textContent: label });
        const more = Object.assign(document.createElement("span"), { className: "note", textContent: note });
        tile.append(box, picture, name, more);
        tile.title = alt;
        box.onclick = (event) => chooseRange(box, event.shiftKey);
        box.onchange = refresh;
        box.onfocus = () => boxes().forEach((other) => (other.tabIndex = other === box ? 0 : -1));
        return tile;
    };

    const chooseRange = (box, isRange) => {
        const all = boxes();
        const here = all.indexOf(box);
        if (isRange && state.last !== null) {
            const [first, last] = [Math.min(here, state.last), Math.max(here, state.last)];
            all.slice(first, last + 1).forEach((other) => (other.checked = box.checked));
        }
        state.last = here;
    };

    const chooseAll = (isChosen) => {
        boxes().forEach((box) => (box.checked = isChosen));
        refresh();
    };

    tiles.onkeydown = move;
    find(".all").onclick = () => chooseAll(true);
    find(".none").onclick = () => chooseAll(false);
    select.onchange = refresh;
    newClass.oninput = refresh;
    find(".move").onclick = () => act("relabel", select.value === NEW_CLASS ? newClass.value : select.value);
    find(".exclude").onclick = () => act("exclude");
    find(".restore").onclick = () => act("restore");
    find(".confirm").onclick = () => act("confirm");

    return {
        update(data, send) {
            Object.assign(state, { data, send });
            const { words } = data;
            for (const name of ["all", "none", "hint", "move", "exclude", "restore", "confirm"]) find(`.${name}`).textContent = words[name];
            find(".relabel span").textContent = words.relabel;
            newClass.placeholder = words.new_name;
            newClass.maxLength = data.max_name_length;
            newClass.setAttribute("aria-label", words.new_name);
            tiles.setAttribute("aria-label", words.images);
            const kept = select.value;
            select.replaceChildren(
                ...data.class_names.map((name) => new Option(name, name)),
                new Option(words.new_class, NEW_CLASS),
            );
            if (kept && Array.from(select.options).some((option) => option.value === kept)) select.value = kept;
            for (const name of [".relabel", ".move"]) find(name).hidden = data.are_out || !data.can_move;
            find(".exclude").hidden = data.are_out;
            find(".restore").hidden = !data.are_out;
            find(".confirm").hidden = !data.can_confirm;
            find(".tools").hidden = data.tiles.length < 2;
            drawTiles();
            refresh();
        },
    };
}
