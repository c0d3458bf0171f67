// Pictures of goods. One that is not here yet answers with nothing: it is asked for, once for all of a page, and looked
// for again until it is there, or until the answer says why it will not come.

const WAITS = [500, 1000, 2000, 4000, 8000, 16000]; // milliseconds
let missing = [];

const bare = (image) => image.getAttribute("src").split("?")[0];
const key = (image) => bare(image).split("/")[2];

const look = (image) => {
  const turn = Number(image.dataset.turn);
  if (turn >= WAITS.length) return;
  image.dataset.turn = turn + 1;
  setTimeout(() => { if (image.isConnected) image.src = `${bare(image)}?turn=${turn}`; }, WAITS[turn]);
};
const ask = async () => {
  const images = missing.splice(0, 200);
  if (missing.length) setTimeout(ask, 50);
  const pictures = images.map((image) => ({ url: image.dataset.url, mark: image.dataset.mark }));
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch("/pictures:want", { method: "POST", headers, body: JSON.stringify({ pictures }) }).catch(() => null);
  if (!answer?.ok) return; // the page does without
  const told = new Map((await answer.json()).map((one) => [one.key, one]));
  for (const image of images) {
    const why = told.get(key(image))?.why;
    if (why) image.parentElement.title = why; else look(image);
  }
};
const lacks = (image) => {
  image.classList.add("m-lacks");
  if (image.dataset.turn) { look(image); return; }
  image.dataset.turn = 0;
  if (missing.push(image) === 1) setTimeout(ask, 50);
};
const shows = (image) => {
  image.classList.remove("m-lacks");
  image.classList.add("m-there");
};

const ours = (event) => event.target instanceof HTMLImageElement && event.target.dataset.mark;
document.addEventListener("error", (event) => { if (ours(event)) lacks(event.target); }, true); // these do not bubble
document.addEventListener("load", (event) => { if (ours(event)) shows(event.target); }, true);
for (const image of document.querySelectorAll("img[data-mark]")) { // what came, or did not, before this script
  if (image.complete && image.currentSrc) (image.naturalWidth ? shows : lacks)(image);
}
