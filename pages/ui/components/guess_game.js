// Photos that a person sorts into classes, with buttons or the number keys. Only the answers of a whole round go to the
// server, so that there is no waiting between two photos.

const MOST_KEYS = 9;

export default drawOne(createGame);

function createGame() {
    let root = null;
    let data = { photos: [] };
    let send = () => {};
    let guesses = [];
    const find = (selector) => root.querySelector(selector);

    const show = () => {
        const { photos, words } = data;
        const place = Math.min(guesses.length, photos.length - 1);
        const count = words.count.replace("{number}", place + 1).replace("{total}", photos.length);
        find("img").src = photos[place];
        find("img").alt = count;
        find(".count").textContent = count;
        find(".fill").style.width = `${(100 * guesses.length) / photos.length}%`;
        find(".back").disabled = !guesses.length;
    };

    const guess = (name) => {
        if (guesses.length >= data.photos.length) return;
        guesses.push(name);
        show();
        if (guesses.length === data.photos.length) send("round", { id: data.id, guesses });
    };

    const back = () => {
        guesses.pop();
        show();
    };

    const onKey = (event) => {
        if (!root || !isOnPage(root) || event.ctrlKey || event.metaKey || event.altKey) return;
        if (/^(INPUT|TEXTAREA|SELECT)$/.test(event.composedPath()[0]?.tagName ?? "")) return;
        const name = data.class_names[Number(event.key) - 1];
        if (/^[1-9]$/.test(event.key) && name !== undefined) guess(name);
    };

    document.addEventListener("keydown", onKey);
    return {
        update(newRoot, newData, newSend) {
            const isNew = root !== newRoot || data.id !== newData.id;
            [root, data, send] = [newRoot, newData, newSend];
            if (!isNew) return;
            guesses = [];
            const { words } = data;
            for (const name of ["question", "back", "keys"]) find(`.${name}`).textContent = words[name];
            find(".classes").setAttribute("aria-label", words.question);
            find(".classes").replaceChildren(...data.class_names.map((name, index) => createClass(name, index, guess)));
            find(".back").onclick = back;
            show();
        },
    };
}

function createClass(name, index, guess) {
    const button = Object.assign(document.createElement("button"), { type: "button" });
    if (index < MOST_KEYS) {
        const key = Object.assign(document.createElement("kbd"), { textContent: index + 1 });
        key.setAttribute("aria-hidden", "true");
        button.append(key);
    }
    button.append(name);
    button.onclick = () => guess(name);
    return button;
}
