// Thumbnails of which one is picked, with the pointer or the arrow keys.

const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

export default function ({ parentElement, data, setStateValue }) {
    const strip = parentElement.querySelector(".photos");
    strip.setAttribute("aria-label", data.label);
    const buttons = data.photos.map(createPhoto);
    const hadFocus = strip.contains(strip.getRootNode().activeElement);

    const mark = (picked) => {
        buttons.forEach((button, index) => {
            button.setAttribute("aria-checked", index === picked);
            button.tabIndex = index === picked ? 0 : -1;
        });
    };
    const pick = (picked) => {
        mark(picked);
        buttons[picked].focus();
        setStateValue("picked", picked);
    };
    buttons.forEach((button, index) => {
        button.onclick = () => pick(index);
        button.onkeydown = (event) => {
            const step = STEPS[event.key];
            if (!step) return;
            event.preventDefault();
            pick((index + step + buttons.length) % buttons.length);
        };
    });
    mark(data.picked);
    strip.replaceChildren(...buttons);
    if (hadFocus) buttons[data.picked]?.focus();
}

function createPhoto({ source, alt }) {
    const button = Object.assign(document.createElement("button"), { type: "button", title: alt });
    button.setAttribute("role", "radio");
    button.setAttribute("aria-label", alt);
    button.append(Object.assign(document.createElement("img"), { src: source, alt: "" }));
    return button;
}
