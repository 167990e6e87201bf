// A button that puts a text into the clipboard.
async function put(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // the page may not: as browsers did it before
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

function render({ model, el }) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "lm-Widget jupyter-widgets jupyter-button widget-button";
  button.style.width = "max-content";
  button.title = model.get("hint");
  button.textContent = model.get("label");
  const told = document.createElement("span");
  told.setAttribute("role", "status");
  button.addEventListener("click", async () => {
    await put(model.get("text"));
    button.focus();
    told.textContent = ` ✓ ${model.get("done")}`;
  });
  model.on("change:text", () => {
    told.textContent = "";
  });
  el.append(button, told);
}

export default { render };
