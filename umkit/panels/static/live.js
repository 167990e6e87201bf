// A line that a screen reader announces when it changes: the region stays, only its content is another one.
function render({ model, el }) {
  el.setAttribute("role", "status");
  el.setAttribute("aria-live", "polite");
  const show = () => {
    el.innerHTML = model.get("value"); // escaped where it was made
  };
  show();
  model.on("change:value", show);
}

export default { render };
