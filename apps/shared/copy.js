// Buttons with data-copy copy the text of the element it names, or the page's address ("link").
document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copy]");
  if (!button) return;
  const from = button.dataset.copy;
  const text = from === "link" ? window.location.href : document.querySelector(from).textContent;
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Not allowed here: select and copy";
  }
  setTimeout(() => { button.textContent = label; }, 2000);
});
