// What is wrong with the texts of a drawn page: those that are cut, and those that still have plain letters.
({ markers, allowed, own }) => {
    const names = new RegExp(allowed, 'g');
    const ofStreamlit = new RegExp(own);
    const cut = new Set();
    const english = new Set();

    function* elements(root) {
        for (const element of root.querySelectorAll('*')) {
            yield element;
            if (element.shadowRoot) yield* elements(element.shadowRoot);
        }
    }

    const parentOf = (element) =>
        element.parentElement ?? element.assignedSlot ?? element.getRootNode().host ?? null;

    function isHidden(element) {
        const box = element.getBoundingClientRect();
        return !element.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true })
            || box.width <= 1 || box.height <= 1 || box.right <= 0;
    }

    function whereCut(node, element) {
        const range = document.createRange();
        range.selectNodeContents(node);
        const text = range.getBoundingClientRect();
        if (text.width === 0) return '';
        for (let outer = element; outer; outer = parentOf(outer)) {
            const style = getComputedStyle(outer);
            const box = outer.getBoundingClientRect();
            // Only for screen readers.
            if (box.width <= 2) return '';
            if (style.display === 'inline' || style.display === 'contents') continue;
            const isBeyond = text.right > box.right + 1.5 || text.left < box.left - 1.5;
            const isBelow = text.bottom > box.bottom + 2 && style.overflowY === 'hidden';
            if (['auto', 'scroll'].includes(style.overflowX)) return '';
            if (isBeyond && style.overflowX !== 'visible') return `cut by ${nameOf(outer)}`;
            if (isBelow && !['auto', 'scroll'].includes(style.overflowY)) return `cut below by ${nameOf(outer)}`;
            if (isBeyond && outer.tagName === 'BUTTON') return `wider than ${nameOf(outer)}`;
        }
        return text.right > innerWidth + 1.5 ? 'wider than the page' : '';
    }

    const nameOf = (element) =>
        `${element.tagName.toLowerCase()} ${element.dataset?.testid ?? ''} ${element.getAttribute('class') ?? ''}`;

    function note(text) {
        const left = text.replace(names, ' ');
        if (/[A-Za-z]{2,}/.test(left) && !ofStreamlit.test(text.trim())) english.add(text.trim());
    }

    for (const element of elements(document)) {
        if (element.closest('style, script, noscript, title, svg.segno, [data-testid=stIconMaterial], code, pre')) continue;
        if (getComputedStyle(element).fontFamily.includes('Material')) continue;
        if (element.closest('[data-testid=stLogo], [data-testid=stStatusWidget]')) continue;
        if (isHidden(element)) continue;
        for (const name of ['aria-label', 'title', 'placeholder', 'alt']) {
            if (element.getAttribute(name)) note(element.getAttribute(name));
        }
        for (const node of element.childNodes) {
            if (node.nodeType !== Node.TEXT_NODE || !node.textContent.trim()) continue;
            note(node.textContent);
            if (!markers.some((marker) => node.textContent.includes(marker))) continue;
            const where = whereCut(node, element);
            if (where) cut.add(`${node.textContent.trim().slice(0, 80)} is ${where}`);
        }
    }
    const main = document.querySelector('[data-testid=stMain]') ?? document.documentElement;
    const tooWide = Math.max(main.scrollWidth - main.clientWidth, document.documentElement.scrollWidth - innerWidth);
    if (tooWide > 1) cut.add(`The page can be moved sideways by ${tooWide} px.`);
    return [...cut, ...english];
}
