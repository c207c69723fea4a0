// Photos on a plane: one tab stop, arrow keys go to the next photo in their direction, Enter or a click picks. Zooming
// moves photos apart while each grows only a little.

const MARGIN = 34;
const HIGHEST_SCALE = 12;

export default function ({ parentElement, data, setStateValue }) {
    const map = (parentElement.map ??= createMap(parentElement));
    map.update(data, setStateValue);
    return () => map.leave();
}

function createMap(root) {
    const find = (selector) => root.querySelector(selector);
    const plane = find(".plane");
    const state = { shown: "", points: [], marks: [], send: () => {}, scale: 1, x: 0, y: 0, only: null };

    const place = () => {
        const width = plane.clientWidth;
        const height = plane.clientHeight;
        const size = baseSize(state.points.length) * state.scale ** 0.4;
        state.points.forEach((point, number) => {
            const left = width / 2 + (point.x - state.x) * state.scale * (width / 2 - MARGIN) - size / 2;
            const top = height / 2 - (point.y - state.y) * state.scale * (height / 2 - MARGIN) - size / 2;
            const { style } = state.marks[number];
            style.width = style.height = `${size}px`;
            style.transform = `translate(${left}px, ${top}px)`;
        });
        plane.classList.toggle("zoomed", state.scale > 1);
        plane.classList.toggle("small", size < 36);
        find(".out").disabled = find(".reset").disabled = state.scale <= 1;
        find(".in").disabled = state.scale >= HIGHEST_SCALE;
    };

    const limit = () => {
        const reach = 1 - 1 / state.scale;
        state.x = Math.max(-reach, Math.min(state.x, reach));
        state.y = Math.max(-reach, Math.min(state.y, reach));
    };

    const zoom = (factor, at = null) => {
        const before = state.scale;
        state.scale = Math.max(1, Math.min(state.scale * factor, HIGHEST_SCALE));
        if (at) {
            const share = 1 - before / state.scale;
            state.x += (at.x - state.x) * share;
            state.y += (at.y - state.y) * share;
        }
        limit();
        place();
    };

    const pick = (number) => {
        state.marks.forEach((mark, other) => mark.setAttribute("aria-selected", other === number));
        setTabStop(number);
        state.send("photo", state.points[number].id);
    };

    const setTabStop = (number) => state.marks.forEach((mark, other) => (mark.tabIndex = other === number ? 0 : -1));

    const goTo = (number) => {
        const point = state.points[number];
        setTabStop(number);
        const isInView = Math.max(Math.abs(point.x - state.x), Math.abs(point.y - state.y)) * state.scale <= 1;
        if (!isInView) {
            Object.assign(state, { x: point.x, y: point.y });
            limit();
            place();
        }
        state.marks[number].focus({ preventScroll: true });
    };

    const onKey = (event, number) => {
        const directions = { ArrowUp: [0, 1], ArrowDown: [0, -1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };
        if (event.key in directions) {
            const next = nearest(state.points, number, directions[event.key], isShown);
            if (next !== null) goTo(next);
        } else if (event.key === "Enter" || event.key === " ") pick(number);
        else if (event.key === "+") zoom(1.5, state.points[number]);
        else if (event.key === "-") zoom(1 / 1.5);
        else return;
        event.preventDefault();
    };

    const isShown = (point) => state.only === null || point.class_number === state.only;

    const showOnly = (number) => {
        state.only = state.only === number ? null : number;
        find(".classes").querySelectorAll("button").forEach((button, other) => button.setAttribute("aria-pressed", other === state.only));
        state.marks.forEach((mark, place) => mark.classList.toggle("faint", !isShown(state.points[place])));
    };

    const createPhoto = (point, number) => {
        const mark = Object.assign(document.createElement("div"), { className: point.is_wrong ? "photo wrong" : "photo", title: point.text });
        mark.setAttribute("role", "option");
        mark.setAttribute("aria-label", point.text);
        mark.setAttribute("aria-selected", "false");
        mark.append(Object.assign(document.createElement("img"), { src: point.source, alt: "", draggable: false }));
        mark.onclick = () => pick(number);
        mark.onkeydown = (event) => onKey(event, number);
        return mark;
    };

    const createButton = (text, onclick) => Object.assign(document.createElement("button"), { type: "button", textContent: text, onclick });

    const draw = (data) => {
        state.points = spread(data.points);
        Object.assign(state, { scale: 1, x: 0, y: 0, only: null });
        state.marks = data.points.map(createPhoto);
        plane.replaceChildren(...state.marks);
        setTabStop(state.points.length - 1);
        find(".classes").replaceChildren(...data.class_names.map((name, number) => createButton(name, () => showOnly(number))));
        find(".classes").querySelectorAll("button").forEach((button) => button.setAttribute("aria-pressed", "false"));
        const wrong = data.points.flatMap((point, number) => (point.is_wrong ? [number] : []));
        find(".list").hidden = wrong.length === 0;
        find(".list ul").replaceChildren(
            ...wrong.map((number) => {
                const item = document.createElement("li");
                item.append(createButton(data.points[number].text, () => pick(number)));
                return item;
            }),
        );
        place();
    };

    const write = (words) => {
        plane.setAttribute("aria-label", words.described);
        find(".key.right").textContent = words.right;
        find(".key.wrong").textContent = words.wrong;
        find(".hint").textContent = words.hint;
        find(".list summary").textContent = words.list;
        find(".classes").setAttribute("aria-label", words.classes);
        for (const [selector, text] of [[".in", words.zoom_in], [".out", words.zoom_out], [".reset", words.reset]]) {
            find(selector).setAttribute("aria-label", text);
            find(selector).title = text;
        }
    };

    find(".in").onclick = () => zoom(1.5);
    find(".out").onclick = () => zoom(1 / 1.5);
    find(".reset").onclick = () => zoom(0);
    plane.addEventListener(
        "wheel",
        (event) => {
            // Without Ctrl the wheel scrolls the page, as everywhere.
            if (!event.ctrlKey && !event.metaKey) return;
            event.preventDefault();
            zoom(event.deltaY < 0 ? 1.25 : 0.8);
        },
        { passive: false },
    );
    plane.onpointermove = (event) => {
        if (!event.buttons || state.scale <= 1) return;
        state.x -= event.movementX / (state.scale * (plane.clientWidth / 2 - MARGIN));
        state.y += event.movementY / (state.scale * (plane.clientHeight / 2 - MARGIN));
        limit();
        place();
    };
    const observer = new ResizeObserver(place);

    return {
        update(data, send) {
            state.send = send;
            observer.observe(plane);
            const shown = JSON.stringify(data.points.map(({ id, x, y, text }) => [id, x, y, text]));
            if (shown === state.shown) return;
            state.shown = shown;
            write(data.words);
            draw(data);
        },
        leave: () => observer.disconnect(),
    };
}

function baseSize(count) {
    if (count <= 60) return 52;
    return count <= 200 ? 40 : 28;
}

// The points stretched to the whole plane, -1 to 1 in each direction: distances on a map like this mean little.
function spread(points) {
    const stretch = (name) => {
        const values = points.map((point) => point[name]);
        const [low, high] = [Math.min(...values), Math.max(...values)];
        return (value) => (high > low ? (2 * (value - low)) / (high - low) - 1 : 0);
    };
    const [x, y] = [stretch("x"), stretch("y")];
    return points.map((point) => ({ ...point, x: x(point.x), y: y(point.y) }));
}

// The nearest photo in a direction: those to the side of it count as farther away.
function nearest(points, from, [right, up], isShown) {
    let best = null;
    let least = Infinity;
    points.forEach((point, number) => {
        const x = point.x - points[from].x;
        const y = point.y - points[from].y;
        const ahead = x * right + y * up;
        const aside = Math.abs(x * up) + Math.abs(y * right);
        const distance = ahead + 2 * aside;
        if (number !== from && ahead > 0 && distance < least && isShown(point)) [best, least] = [number, distance];
    });
    return best;
}
