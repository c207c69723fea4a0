// Thumbnails as radio buttons: one tab stop, and the arrow keys pick, as in any group of radio buttons.

export default function ({ parentElement, data, setStateValue }) {
    const strip = (parentElement.strip ??= { shown: "", send: null, name: newId() });
    strip.send = setStateValue;
    parentElement.querySelector("legend").textContent = data.label;
    const shown = JSON.stringify(data.photos.map(({ id, label }) => [id, label]));
    if (shown === strip.shown) return;
    strip.shown = shown;
    const choices = data.photos.map((photo, place) => createChoice(photo, place === 0, strip));
    parentElement.querySelector(".photos").replaceChildren(...choices);
}

function createChoice({ id, source, label }, isFirst, strip) {
    const choice = Object.assign(document.createElement("label"), { className: "photo", title: label });
    const input = Object.assign(document.createElement("input"), { type: "radio", name: strip.name, value: id, checked: isFirst });
    input.setAttribute("aria-label", label);
    input.onchange = () => strip.send("photo", id);
    choice.append(input, Object.assign(document.createElement("img"), { src: source, alt: "" }));
    return choice;
}
