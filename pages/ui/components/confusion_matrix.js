// A confusion matrix as a grid with one tab stop: arrow keys move, Enter or Space picks a cell. The pick goes to the server.

const NUM_TURNED = 6;
const NUM_MANY = 10;
// Per cent of the colour over the background. Text keeps a contrast of 4.5 in both themes.
const LOWEST_SHARE = { right: 18, wrong: 42 };
const HIGHEST_SHARE = { right: 42, wrong: 75 };

export default function ({ parentElement, data, setStateValue }) {
    const matrix = (parentElement.matrix ??= createMatrix(parentElement));
    matrix.update(data, setStateValue);
}

function createMatrix(root) {
    const find = (selector) => root.querySelector(selector);
    const state = { shown: "", cells: [], picked: [0, 0], send: () => {}, data: null };

    const pick = (row, column) => {
        state.picked = [row, column];
        showPicked();
        find(".picked").textContent = words(row, column);
        state.send("cell", [row, column]);
    };

    const showPicked = () => {
        const [pickedRow, pickedColumn] = state.picked;
        state.cells.forEach((cells, row) =>
            cells.forEach((cell, column) => cell.setAttribute("aria-selected", row === pickedRow && column === pickedColumn)),
        );
        for (const button of find(".list ul").querySelectorAll("button")) {
            button.setAttribute("aria-pressed", button.dataset.cell === state.picked.join());
        }
    };

    const setTabStop = (row, column) => {
        state.cells.flat().forEach((cell) => (cell.tabIndex = -1));
        state.cells[row][column].tabIndex = 0;
    };

    const move = (event, row, column) => {
        const last = state.cells.length - 1;
        const steps = {
            ArrowUp: [row - 1, column],
            ArrowDown: [row + 1, column],
            ArrowLeft: [row, column - 1],
            ArrowRight: [row, column + 1],
            Home: [event.ctrlKey ? 0 : row, 0],
            End: [event.ctrlKey ? last : row, last],
        };
        if (event.key === "Enter" || event.key === " ") pick(row, column);
        else if (event.key in steps) {
            const [toRow, toColumn] = steps[event.key].map((place) => Math.max(0, Math.min(place, last)));
            setTabStop(toRow, toColumn);
            state.cells[toRow][toColumn].focus();
        } else return;
        event.preventDefault();
    };

    const words = (row, column) => {
        const { names, counts, words } = state.data;
        const text = row === column ? words.right : words.wrong;
        return filled(text, { true: names[row], said: names[column], count: counts[row][column] });
    };

    const shareWords = (row) => (column) => {
        const { names, counts, words } = state.data;
        const total = counts[row].reduce((sum, count) => sum + count, 0);
        return filled(words.share, { share: Math.round((100 * counts[row][column]) / Math.max(total, 1)), true: names[row] });
    };

    const createCell = (row, column) => {
        const { counts } = state.data;
        const count = counts[row][column];
        const kind = row === column ? "right" : "wrong";
        const cell = element("td", count ? kind : `none ${kind}`);
        const total = counts[row].reduce((sum, one) => sum + one, 0);
        const strength = count / Math.max(kind === "right" ? total : state.mostWrong, 1);
        const percent = LOWEST_SHARE[kind] + (HIGHEST_SHARE[kind] - LOWEST_SHARE[kind]) * strength;
        cell.style.setProperty("--share", percent);
        if (kind === "right" && count) cell.append(symbol("check"));
        cell.append(count || kind === "right" ? count : "");
        cell.setAttribute("role", "gridcell");
        cell.setAttribute("aria-label", words(row, column));
        cell.title = count ? `${words(row, column)} (${shareWords(row)(column)})` : words(row, column);
        cell.onclick = () => {
            setTabStop(row, column);
            pick(row, column);
        };
        cell.onkeydown = (event) => move(event, row, column);
        return cell;
    };

    const createName = (index, scope) => {
        const name = element("th", "name");
        name.scope = scope;
        name.title = state.data.names[index];
        name.append(element("span", "", state.data.short_names[index]));
        return name;
    };

    const drawTable = () => {
        const { names, counts, words } = state.data;
        state.mostWrong = Math.max(...counts.flatMap((line, row) => line.filter((_count, column) => column !== row)));
        const corner = element("th", "corner axis", words.truth);
        const axis = element("th", "axis", words.said);
        corner.rowSpan = 2;
        axis.colSpan = names.length;
        axis.scope = "colgroup";
        const titles = element("tr");
        titles.append(corner, axis);
        const columns = element("tr");
        columns.append(...names.map((_name, index) => createName(index, "col")));
        find("thead").replaceChildren(titles, columns);
        state.cells = names.map((_row, row) => names.map((_column, column) => createCell(row, column)));
        find("tbody").replaceChildren(
            ...state.cells.map((cells, row) => {
                const line = element("tr");
                line.append(createName(row, "row"), ...cells);
                return line;
            }),
        );
        find("table").className = [names.length > NUM_TURNED && "turned", names.length > NUM_MANY && "many"].filter(Boolean).join(" ");
    };

    const drawList = () => {
        const { names, counts } = state.data;
        const cells = names
            .flatMap((_row, row) => names.map((_column, column) => [row, column]))
            .filter(([row, column]) => counts[row][column])
            // Mistakes first, the most frequent ahead.
            .sort(([a, b], [c, d]) => (a === b) - (c === d) || counts[c][d] - counts[a][b]);
        find(".list ul").replaceChildren(
            ...cells.map(([row, column]) => {
                const item = element("li");
                const button = element("button", row === column ? "right" : "wrong", words(row, column));
                button.type = "button";
                button.dataset.cell = [row, column].join();
                button.onclick = () => pick(row, column);
                item.append(button);
                return item;
            }),
        );
    };

    return {
        update(data, send) {
            state.send = send;
            const shown = JSON.stringify([data.names, data.counts]);
            if (shown === state.shown) return;
            Object.assign(state, { data, shown, picked: data.first });
            find("table").setAttribute("aria-label", data.words.table);
            find(".hint").textContent = data.words.hint;
            find(".key.right").textContent = data.words.legend_right;
            find(".key.wrong").textContent = data.words.legend_wrong;
            find(".list summary").textContent = data.words.list;
            drawTable();
            drawList();
            setTabStop(...data.first);
            showPicked();
        },
    };
}

function element(name, className = "", text = "") {
    return Object.assign(document.createElement(name), { className, textContent: text });
}

function symbol(name) {
    const icon = element("span", "icon", name);
    icon.setAttribute("aria-hidden", "true");
    return icon;
}

function filled(text, values) {
    const shown = (value) => value.toLocaleString(document.documentElement.lang);
    return Object.entries(values).reduce((result, [name, value]) => result.replace(`{${name}}`, () => shown(value)), text);
}
