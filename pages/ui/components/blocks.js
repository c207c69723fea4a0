// The blocks of a network, which freeze and melt from the end on. The effect of each depth comes with the data, so that
// it is shown at once; the choice goes to the server behind it.

const PAUSE = 250; // milliseconds without a key before the choice goes to the server
const STEPS = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -3, PageUp: 3, Home: -999, End: 999 };

export default function ({ parentElement, data, setTriggerValue }) {
    const network = (parentElement.network ??= createNetwork(parentElement));
    network.update(data, setTriggerValue);
    return network.send;
}

function createNetwork(root) {
    const find = (selector) => root.querySelector(selector);
    const blocks = find(".blocks");
    let data = null;
    let trigger = () => {};
    let choice = null; // what the person sees chosen
    let fineTuneDepth = 1;
    let unsent = 0; // the clock of a choice that the server does not know yet
    let sent = ""; // the choice that the server is still to confirm

    const send = () => {
        if (!unsent) return;
        clearTimeout(unsent);
        unsent = 0;
        sent = JSON.stringify(choice);
        trigger("choice", choice);
    };

    const choose = (mode, depth, pause = 0) => {
        if (mode === choice.mode && depth === choice.depth) return;
        choice = { mode, depth };
        if (mode === "fine-tuned") fineTuneDepth = depth;
        draw();
        clearTimeout(unsent);
        unsent = setTimeout(send, pause);
        if (!pause) send();
    };

    const canChange = () => !data.is_locked && choice.mode !== "from scratch";

    const freeze = (count, pause) => {
        const depth = data.blocks.length - Math.min(Math.max(count, 0), data.blocks.length);
        if (canChange()) choose(depth ? "fine-tuned" : "feature extraction", depth, pause);
    };

    const numFrozen = () => data.blocks.length - choice.depth;

    blocks.onkeydown = (event) => {
        const step = STEPS[event.key];
        if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
        event.preventDefault();
        freeze(numFrozen() + step, PAUSE);
    };
    blocks.onblur = send;
    blocks.onclick = (event) => {
        const number = Array.from(blocks.children).indexOf(event.target.closest(".cell"));
        // A click on a frozen block unfreezes it and all later blocks; on a trainable block it freezes it and all earlier.
        if (number >= 0) freeze(number < numFrozen() ? number : number + 1, 0);
    };

    const fill = (cell, { icon, picture, title, facts, state }) => {
        const part = (tag, text, name = "") => Object.assign(document.createElement(tag), { textContent: text, className: name });
        const first = picture ? Object.assign(document.createElement("img"), { src: picture, alt: "" }) : part("span", icon, "icon");
        first.setAttribute("aria-hidden", "true");
        cell.replaceChildren(first, part("strong", title), part("small", facts), ...(state ? [part("em", state)] : []));
    };

    const drawModes = () => {
        const modes = find(".modes");
        if (modes.querySelectorAll("label").length === data.modes.length) return;
        modes.append(...data.modes.map(({ name, title }) => {
            const label = document.createElement("label");
            const input = Object.assign(document.createElement("input"), { type: "radio", name: `mode-${data.title}`, value: name });
            input.onchange = () => {
                const depths = { "feature extraction": 0, "from scratch": data.blocks.length };
                choose(name, depths[name] ?? fineTuneDepth);
            };
            label.append(input, title);
            return label;
        }));
    };

    const draw = () => {
        const { words } = data;
        const effect = choice.mode === "from scratch" ? data.from_scratch : data.depths[choice.depth];
        find(".time").textContent = effect.time;
        find(".values").textContent = effect.values;
        find(".effect").classList.toggle("is-drawing", !effect.time);
        find(".modes").hidden = data.is_locked;
        find(".about").hidden = data.is_locked;
        find(".about").textContent = data.modes.find(({ name }) => name === choice.mode)?.text ?? "";
        for (const input of root.querySelectorAll(".modes input")) input.checked = input.value === choice.mode;
        data.blocks.forEach((block, number) => {
            const isFrozen = number < numFrozen();
            blocks.children[number].className = isFrozen ? "cell frozen" : "cell learning";
            fill(blocks.children[number], {
                ...block,
                icon: isFrozen ? "ac_unit" : "local_fire_department",
                state: isFrozen ? words.frozen : words.learns,
            });
        });
        blocks.classList.toggle("can-change", canChange());
        blocks.setAttribute("aria-label", words.label);
        if (data.is_locked) {
            blocks.setAttribute("role", "img");
            blocks.setAttribute("aria-label", effect.state);
            blocks.removeAttribute("tabindex");
        } else {
            blocks.setAttribute("role", "slider");
            blocks.setAttribute("aria-valuemin", 0);
            blocks.setAttribute("aria-valuemax", data.blocks.length);
            blocks.setAttribute("aria-valuenow", numFrozen());
            blocks.setAttribute("aria-valuetext", effect.state);
            blocks.setAttribute("aria-disabled", !canChange());
            blocks.tabIndex = 0;
        }
        find(".scale").replaceChildren(...words.scale.map((word) => Object.assign(document.createElement("span"), { textContent: word })));
        find(".scale").hidden = data.blocks.length < words.scale.length;
        find(".hint").hidden = data.is_locked;
        find(".hint").textContent = choice.mode === "from scratch" ? words.scratch_hint : words.hint;
        find(".advice").hidden = !effect.advice;
        find(".advice").classList.toggle("risky", !effect.fits);
        find(".advice .icon").textContent = effect.fits ? "lightbulb" : "warning";
        find(".advice .text").textContent = effect.advice;
    };

    return {
        send,
        update(newData, setTriggerValue) {
            data = newData;
            trigger = setTriggerValue;
            const known = JSON.stringify({ mode: data.mode, depth: data.depth });
            // Until the server has drawn the page with the latest choice, it would take the person's step back.
            if (!unsent && (!sent || sent === known)) {
                choice = JSON.parse(known);
                fineTuneDepth = data.fine_tune_depth;
                sent = "";
            }
            if (blocks.children.length !== data.blocks.length) {
                blocks.replaceChildren(...data.blocks.map(() => document.createElement("div")));
            }
            find(".modes legend").textContent = data.words.modes;
            drawModes();
            fill(find(".input"), data.photo);
            fill(find(".new"), data.head);
            draw();
        },
    };
}
