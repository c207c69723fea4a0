// Thumbnails as radio buttons: one tab stop, and the arrow keys pick, as in any group of radio buttons.

export default function ({ parentElement, data, setStateValue }) {
    const picker = (parentElement.picker ??= { shown: "", send: null, name: newId() });
    picker.send = setStateValue;
    parentElement.querySelector("legend").textContent = data.label;
    parentElement.querySelector(".photos").classList.toggle("compact", data.is_compact);
    const shown = JSON.stringify(data.photos.map(({ id, label }) => [id, label]));
    if (shown === picker.shown) return;
    picker.shown = shown;
    const choices = data.photos.map((photo, place) => createChoice(photo, place === 0, picker));
    parentElement.querySelector(".photos").replaceChildren(...choices);
}

function createChoice({ id, source, label, is_right }, isFirst, picker) {
    const choice = Object.assign(document.createElement("label"), { className: "photo", title: label });
    const input = Object.assign(document.createElement("input"), { type: "radio", name: picker.name, value: id, checked: isFirst });
    input.onchange = () => picker.send("photo", id);
    const image = Object.assign(document.createElement("img"), { src: source, alt: "", loading: "lazy" });
    const words = Object.assign(document.createElement("span"), { className: "label", textContent: label });
    choice.append(input, image, words);
    if (is_right !== undefined) choice.append(createMark(is_right));
    return choice;
}

function createMark(is_right) {
    const mark = Object.assign(document.createElement("span"), {
        className: is_right ? "mark" : "mark wrong",
        textContent: is_right ? "check" : "close",
    });
    mark.setAttribute("aria-hidden", "true");
    return mark;
}
