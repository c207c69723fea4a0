// A card for each pupil. It is drawn every two seconds, so cards are changed in place: what has the focus keeps it, and
// pictures do not flash.

export default function ({ parentElement, data, setTriggerValue }) {
    const board = (parentElement.board ??= { cards: new Map(), send: null });
    board.send = setTriggerValue;
    const cards = data.cards.map((facts) => {
        const card = board.cards.get(facts.id) ?? createCard(board, facts.id);
        card.update(facts, data.words);
        return card;
    });
    board.cards = new Map(data.cards.map((facts, place) => [facts.id, cards[place]]));
    const holder = parentElement.querySelector(".cards");
    const elements = cards.map((card) => card.element);
    // Moving an element in the document takes the focus from it.
    if (elements.length !== holder.children.length || elements.some((element, place) => holder.children[place] !== element)) {
        holder.replaceChildren(...elements);
    }
}

function create(name, className, ...children) {
    const element = Object.assign(document.createElement(name), { className });
    element.append(...children);
    return element;
}

function createCard(board, id) {
    const name = create("h3", "");
    const when = create("span", "when");
    const counts = create("p", "counts");
    const photos = create("div", "photos");
    const bar = Object.assign(create("progress", ""), { max: 1 });
    const stage = create("span", "");
    const training = create("p", "training", stage, bar);
    const share = create("b", "");
    const beforeShare = create("span", "");
    const behindShare = create("span", "");
    const accuracy = create("p", "accuracy", beforeShare, share, behindShare);
    const mistakeWords = create("p", "");
    const wrong = create("div", "photos");
    const mistakes = create("div", "mistakes", mistakeWords, wrong);
    const buttons = ["show", "open", "remove"].map((kind) => {
        const button = Object.assign(create("button", kind), { type: "button" });
        button.onclick = () => board.send("action", { kind, id });
        return button;
    });
    const element = create("article", "card", create("header", "", name, when), counts, photos, training, accuracy, mistakes, create("div", "acts", ...buttons));
    let shown = "";

    return {
        element,
        update(facts, words) {
            const now = JSON.stringify([facts, words]);
            if (now === shown) return;
            shown = now;
            element.classList.toggle("here", facts.is_here);
            name.textContent = facts.name;
            when.textContent = facts.when;
            counts.textContent = facts.counts;
            drawPhotos(photos, facts.photos);
            training.hidden = facts.stage === "";
            stage.textContent = facts.stage;
            bar.value = facts.share;
            bar.setAttribute("aria-label", facts.stage);
            accuracy.hidden = facts.accuracy === "";
            share.textContent = facts.accuracy;
            [beforeShare.textContent, behindShare.textContent] = words.accuracy.split("{accuracy}");
            mistakes.hidden = facts.mistakes.length === 0;
            mistakeWords.textContent = facts.mistake_words;
            drawPhotos(wrong, facts.mistakes);
            for (const button of buttons) {
                button.textContent = words[button.className];
                button.setAttribute("aria-label", words[`${button.className}_of`].replace("{name}", facts.name));
            }
        },
    };
}

function drawPhotos(holder, photos) {
    holder.hidden = photos.length === 0;
    const known = new Map(Array.from(holder.children, (image) => [image.getAttribute("src"), image]));
    holder.replaceChildren(
        ...photos.map(({ source, label }) => {
            const image = known.get(source) ?? Object.assign(document.createElement("img"), { src: source });
            image.alt = image.title = label;
            return image;
        }),
    );
}
