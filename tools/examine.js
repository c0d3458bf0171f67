// What a machine can see wrong with a page: cut and overlapping texts, small targets, what does not fit.
({phone}) => {
  const flaws = [], texts = [];
  const seen = node => {
    const s = getComputedStyle(node), r = node.getBoundingClientRect();
    return s.visibility !== 'hidden' && s.display !== 'none' && +s.opacity > 0.05 && r.width > 1 && r.height > 1;
  };
  const said = node => (node.textContent || '').replace(/\s+/g, ' ').trim().slice(0, 60);
  const where = node => `<${node.tagName.toLowerCase()}${node.className && node.className.baseVal === undefined
    ? '.' + String(node.className).trim().replace(/\s+/g, '.') : ''}> ${said(node)}`;
  if (!document.title.trim() || document.title.trim().startsWith('·')) flaws.push('no title');
  const heads = [...document.querySelectorAll('h1')].filter(seen);
  if (heads.length !== 1) flaws.push(`${heads.length} h1`);
  for (const node of document.querySelectorAll('[tabindex]')) if (+node.getAttribute('tabindex') > 0) flaws.push(`tabindex ${where(node)}`);
  for (const image of document.images) if (image.complete && !image.naturalWidth) flaws.push(`image missing: ${image.src}`);
  // Texts: each box that holds text of its own.
  const boxes = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.nodeValue.replace(/\s+/g, ' ').trim(), node = walker.currentNode.parentElement;
    if (!text || ['SCRIPT', 'STYLE', 'TEMPLATE', 'OPTION', 'NOSCRIPT'].includes(node.tagName) || !seen(node)) continue;
    if (node.closest('body [lang]') && node.closest('[lang]').lang !== document.documentElement.lang) continue;
    if (node.closest('dialog:not([open]), details:not([open]) > :not(summary)')) continue;
    texts.push(text);
    const range = document.createRange(); range.selectNodeContents(walker.currentNode);
    const style = getComputedStyle(node);
    for (const rect of range.getClientRects())
      if (rect.width > 2 && rect.height > 2) boxes.push({node, text, rect});
    // Cut: a box that hides what is beyond it, without saying so by an ellipsis.
    if (style.overflowX === 'hidden' && node.scrollWidth > node.clientWidth + 1 && node.clientWidth > 2) {
      const clamped = style.textOverflow === 'ellipsis';
      if (!clamped) flaws.push(`cut: ${where(node)}`);
      else if (/[\d]/.test(text) && /m-num|m-id|m-money/.test(node.className)) flaws.push(`a figure is cut: ${where(node)}`);
    }
  }
  for (const field of document.querySelectorAll('[placeholder], [aria-label], [title]'))
    if (seen(field)) for (const name of ['placeholder', 'aria-label', 'title']) {
      const text = field.getAttribute(name); if (text && !field.closest('dialog:not([open])')) texts.push(text.trim());
    }
  // Overlap: two texts on one spot, unless one floats above the page on purpose.
  const floats = n => { for (; n && n !== document.body; n = n.parentElement) { const p = getComputedStyle(n).position;
    if (p === 'fixed' || p === 'sticky') return true; } return false; };
  const clip = box => { let {left, right, top, bottom} = box.rect;
    for (let n = box.node; n && n !== document.body; n = n.parentElement) { const s = getComputedStyle(n);
      if (s.overflowX !== 'visible' || s.overflowY !== 'visible') { const r = n.getBoundingClientRect();
        left = Math.max(left, r.left); right = Math.min(right, r.right); top = Math.max(top, r.top); bottom = Math.min(bottom, r.bottom); } }
    return {left, right, top, bottom, ...box, empty: right - left < 2 || bottom - top < 2}; };
  const still = boxes.filter(b => !floats(b.node)).map(clip).filter(b => !b.empty).sort((a, b) => a.top - b.top);
  let over = 0;
  for (let i = 0; i < still.length && over < 5; i++) for (let j = i + 1; j < still.length && still[j].top < still[i].bottom; j++) {
    const a = still[i], b = still[j];
    if (a.node === b.node || a.node.contains(b.node) || b.node.contains(a.node)) continue;
    const x = Math.min(a.right, b.right) - Math.max(a.left, b.left), y = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (x > 3 && y > 5 && over++ < 5) flaws.push(`overlap: "${a.text.slice(0, 40)}" and "${b.text.slice(0, 40)}"`);
  }
  if (phone) {
    const small = {};
    for (const node of document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, summary')) {
      if (!seen(node) || node.closest('dialog:not([open]), .m-side, .m-skip, svg, details:not([open]) > :not(summary)')) continue;
      const label = node.closest(node.type === 'checkbox' || node.type === 'radio' ? 'label, td, th' : 'label') || node;
      const rect = label.getBoundingClientRect();
      // Links inside a sentence or a cell that opens as a whole are spared, as by WCAG.
      const inline = node.tagName === 'A' && getComputedStyle(node).display.startsWith('inline') && !node.classList.contains('m-btn');
      // What a finger hits may be more than what is drawn.
      const x = rect.left + rect.width / 2, y = rect.top + rect.height / 2;
      const hit = by => { const on = document.elementFromPoint(x, y + by); return on && (on === node || label.contains(on)); };
      if (!inline && rect.height < 39.5 && y > 20 && y < innerHeight - 20 && !(hit(-17) && hit(17))) {
        const kind = `${node.tagName.toLowerCase()}.${String(node.className).trim().split(/\s+/).join('.')}`;
        (small[kind] ||= []).push(`${Math.round(rect.width)}x${Math.round(rect.height)} ${said(node) || node.name || node.ariaLabel}`);
      }
    }
    for (const [kind, nodes] of Object.entries(small)) flaws.push(`small target ${kind} (${nodes.length}): ${nodes[0]}`);
  }
  return {flaws, texts: [...new Set(texts)]};
}
