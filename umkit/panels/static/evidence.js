// A place for a screenshot: pasted with Ctrl-V, dropped, or chosen. It goes to the kernel in pieces, for one message
// to the server may have 10 MiB.
const PIECE = 512 * 1024;

async function send(model, file) {
  model.send({ do: "begin", name: file.name || "", size: file.size });
  for (let at = 0; at < file.size; at += PIECE) {
    const piece = await file.slice(at, at + PIECE).arrayBuffer();
    model.send({ do: "piece" }, undefined, [piece]);
  }
  model.send({ do: "end" });
}

function render({ model, el }) {
  const say = (name) => model.get("words")[name];
  const input = document.createElement("input");
  input.type = "file";
  input.accept = "image/*,.pdf";
  input.hidden = true;
  const area = document.createElement("div");
  area.className = "umkit-evidence";
  area.tabIndex = 0;
  area.setAttribute("role", "group");
  area.setAttribute("aria-label", say("label"));
  area.dataset.lmSuppressShortcuts = "true"; // JupyterLab would paste a cell
  area.textContent = say("label");
  const told = document.createElement("div");
  told.className = "umkit-evidence-told";
  told.setAttribute("role", "status");
  const remove = document.createElement("button");
  remove.type = "button";
  remove.className = "lm-Widget jupyter-widgets jupyter-button widget-button";
  remove.style.width = "max-content";
  remove.textContent = say("remove");
  const choose = document.createElement("button");
  choose.type = "button";
  choose.className = remove.className;
  choose.style.width = "max-content";
  choose.textContent = say("choose");
  let picture = "";

  const take = (file) => {
    if (!file) return;
    if (file.size > model.get("largest")) {
      model.send({ do: "refused", why: "large" });
      return;
    }
    if (picture) URL.revokeObjectURL(picture);
    picture = file.type.startsWith("image/") ? URL.createObjectURL(file) : "";
    send(model, file);
  };
  const show = () => {
    told.replaceChildren();
    if (model.get("told") && picture) {
      const image = document.createElement("img");
      image.src = picture;
      image.alt = say("alt");
      told.append(image);
    }
    if (model.get("told")) told.append(model.get("told"), remove);
    if (model.get("problem")) told.append(`✗ ${model.get("problem")}`);
  };

  choose.addEventListener("click", () => input.click());
  area.addEventListener("paste", (event) => {
    event.preventDefault();
    event.stopPropagation();
    const file = [...event.clipboardData.files][0];
    if (file) take(file);
    else model.send({ do: "refused", why: "kind" });
  });
  area.addEventListener("dragover", (event) => event.preventDefault());
  area.addEventListener("drop", (event) => {
    event.preventDefault();
    event.stopPropagation();
    take(event.dataTransfer.files[0]);
  });
  input.addEventListener("change", () => {
    take(input.files[0]);
    input.value = "";
  });
  remove.addEventListener("click", () => {
    model.send({ do: "remove" });
    area.focus();
  });
  model.on("change:told change:problem", show);
  el.append(area, choose, input, told);
  show();
  return () => picture && URL.revokeObjectURL(picture);
}

export default { render };
