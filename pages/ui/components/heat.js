// Photos with a heat map over them; the slider for its strength works in the browser, without the server.

export default function ({ parentElement, data }) {
    const slider = parentElement.querySelector("input");
    const pictures = parentElement.querySelector(".pictures");
    parentElement.querySelector(".strength span").textContent = data.words.strength;
    parentElement.querySelector(".strength").hidden = !data.pictures.some(({ heat }) => heat);

    const blend = () => {
        for (const heat of pictures.querySelectorAll(".heat")) heat.style.opacity = slider.value / 100;
    };
    slider.oninput = blend;

    pictures.classList.toggle("single", data.pictures.length === 1);
    pictures.replaceChildren(...data.pictures.map(createPicture));
    blend();
}

function createPicture({ photo, heat, title, caption, alt }) {
    const figure = document.createElement("figure");
    const stack = Object.assign(document.createElement("div"), { className: "stack" });
    stack.append(Object.assign(document.createElement("img"), { className: "photo", src: photo, alt }));
    if (heat) stack.append(Object.assign(document.createElement("img"), { className: "heat", src: heat, alt: "" }));
    const words = document.createElement("figcaption");
    if (title) words.append(Object.assign(document.createElement("strong"), { textContent: title }));
    if (caption) words.append(caption);
    figure.append(stack, words);
    return figure;
}
