// Small comforts; everything works without them.
"use strict";

// A form that is on its way is not sent twice.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "1";
});
addEventListener("pageshow", () => {
  for (const form of document.forms) delete form.dataset.sent;
});

// Times of the last week say the visitor's own clock when the mouse rests on them.
for (const time of document.querySelectorAll("time[datetime]")) {
  const at = new Date(time.dateTime);
  if (!Number.isNaN(at.getTime())) {
    time.title = at.toLocaleString(document.documentElement.lang, {
      dateStyle: "long",
      timeStyle: "short",
    });
  }
}

// Menus close when one clicks elsewhere or presses Escape.
const menus = () => document.querySelectorAll("details.menu[open], details.more[open]");
document.addEventListener("click", (event) => {
  for (const menu of menus()) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    for (const menu of menus()) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  }
  // Ctrl+Enter sends what is being written.
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    const form = event.target.closest && event.target.closest("form.composer");
    if (form) form.requestSubmit(form.querySelector("button:not([name])"));
  }
});
