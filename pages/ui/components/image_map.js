// Images as points on a plane; the point under the pointer shows its picture.

const SVG = "http://www.w3.org/2000/svg";
const SIZE = 0.022;
const COLORS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#8a6d00", "#7a3fb0"];
const SHAPES = [
    "M-1 0A1 1 0 1 0 1 0A1 1 0 1 0 -1 0Z",
    "M-.9 -.9H.9V.9H-.9Z",
    "M0 -1.15L1.1 .85H-1.1Z",
    "M0 -1.2L1.2 0L0 1.2L-1.2 0Z",
    "M0 1.15L1.1 -.85H-1.1Z",
    "M-.4 -1.1H.4V-.4H1.1V.4H.4V1.1H-.4V.4H-1.1V-.4H-.4Z",
    "M0 -1.2L1.15 -.35L.7 1H-.7L-1.15 -.35Z",
];

export default function ({ parentElement, data }) {
    const find = (selector) => parentElement.querySelector(selector);
    const map = find(".map");
    const tip = find(".tip");
    const plane = find(".map > svg");
    plane.setAttribute("aria-label", data.words.described);

    const hide = () => {
        tip.hidden = true;
        plane.querySelector(".shown")?.classList.remove("shown");
    };
    const show = (point, mark) => {
        hide();
        mark.classList.add("shown");
        find(".tip img").src = point.source;
        find(".tip strong").textContent = point.name;
        find(".tip span").textContent = point.text;
        tip.hidden = false;
        const place = mark.getBoundingClientRect();
        const frame = map.getBoundingClientRect();
        const left = place.left - frame.left + 14;
        const top = place.top - frame.top + 14;
        tip.style.left = `${Math.max(0, Math.min(left, frame.width - tip.offsetWidth))}px`;
        tip.style.top = `${top + tip.offsetHeight > frame.height ? Math.max(0, top - tip.offsetHeight - 28) : top}px`;
    };

    // Mistakes come last, so that they lie on top.
    const marks = data.points.map((point) => {
        const mark = createMark(point.class_number, point.is_wrong, `translate(${point.x} ${-point.y}) scale(${SIZE})`);
        mark.onpointerenter = mark.onpointerdown = mark.onfocus = () => show(point, mark);
        mark.onpointerleave = mark.onblur = hide;
        mark.setAttribute("aria-label", `${point.name}: ${point.text}`);
        if (point.is_wrong) mark.tabIndex = 0;
        return mark;
    });
    plane.replaceChildren(...marks);

    const entries = data.class_names.map((name, number) => createEntry(name, number, false));
    find(".legend").replaceChildren(...entries, createEntry(data.words.wrong, 0, true));
    hide();
}

function createMark(number, isWrong, transform) {
    const mark = document.createElementNS(SVG, "path");
    mark.setAttribute("d", SHAPES[number % SHAPES.length]);
    mark.setAttribute("fill", COLORS[number % COLORS.length]);
    mark.setAttribute("class", isWrong ? "point wrong" : "point");
    mark.setAttribute("transform", isWrong ? `${transform} scale(1.5)` : transform);
    return mark;
}

function createEntry(name, number, isWrong) {
    const entry = document.createElement("span");
    const icon = document.createElementNS(SVG, "svg");
    icon.setAttribute("viewBox", "-2 -2 4 4");
    const mark = createMark(number, isWrong, "");
    if (isWrong) mark.setAttribute("fill", "none");
    icon.append(mark);
    entry.append(icon, name);
    return entry;
}
