// What is shown beside a list: whoever goes on to another entry does not wait for the one before.
export const showBeside = (address, target) => {
  window.htmx.trigger(document.body, "htmx:abort");
  return window.htmx.ajax("GET", address, { target, swap: `innerHTML show:${target}:top` }).catch(() => {});
};
