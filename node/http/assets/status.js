// Keeps the page fresh: asks for it again when something happened, and every few seconds.
"use strict";
(() => {
  const main = document.querySelector("main");
  const told = document.querySelector("#told");
  let timer = 0;
  let asking = false;

  async function refresh() {
    if (asking) { return; }
    asking = true;
    clearTimeout(timer);
    try {
      const answer = await fetch("/", { cache: "no-store", signal: AbortSignal.timeout(5000) });
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      const content = fresh.querySelector("main");
      if (!answer.ok || !content) { throw new Error("answer " + answer.status); }
      main.replaceChildren(...content.childNodes);
      document.title = fresh.title;
      told.textContent = "live";
      told.className = "good";
    } catch (why) {
      told.textContent = "this node does not answer; trying again";
      told.className = "bad";
    }
    asking = false;
    timer = setTimeout(refresh, 2000);
  }

  told.textContent = "live";
  const events = new EventSource("/api/v1/events");
  events.onmessage = () => { clearTimeout(timer); timer = setTimeout(refresh, 50); };
  timer = setTimeout(refresh, 2000);
})();
