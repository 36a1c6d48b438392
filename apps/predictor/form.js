// The form's behaviour. Its markup comes from Python. The component's value is the fields' text as
// typed, so that only Python decides what is a wine.
const fields = () => element.querySelectorAll(".measure");
const all = (selector) => element.querySelectorAll(selector);

let asked = 0;  // numbers the requests, so that older answers can be ignored

function send() {
  const chosen = element.querySelector("input[name=type]:checked");
  const wine = { type: chosen ? chosen.value : "" };
  fields().forEach((field) => { wine[field.dataset.name] = field.querySelector(".number").value; });
  remember(wine);
  asked += 1;
  props.value = { ...wine, asked };
  trigger("input");
  setTimeout(greyOut, 700);
}

// keep the wine in the page's address, for links and reloads
function remember(wine) {
  const url = new URL(window.location.href);
  Object.entries(wine).forEach(([name, value]) => url.searchParams.set(name, value));
  window.history.replaceState(window.history.state, "", url);
  if (window.parent !== window) {  // a Space is shown inside a page of Hugging Face
    window.parent.postMessage({ queryString: url.search }, "https://huggingface.co");
  }
}

// grey out an answer that is not for the wine in the form, and any answer without the server
let away = false;

function greyOut() {
  const answered = !props.value || ((props.notes || {}).asked ?? 0) >= asked;
  document.querySelectorAll("#result, #what-if").forEach((part) => {
    part.classList.toggle("stale", away || !answered);
  });
}

setInterval(() => {
  if (document.hidden) return;
  fetch("gradio_api/app_id", { cache: "no-store" })
    .then((response) => { away = !response.ok; }, () => { away = true; })
    .then(greyOut);
}, 5000);

// a value with the usual decimals, or with all it has
function asTyped(value, decimals) {
  const fixed = Number(value).toFixed(decimals);
  return Number(fixed) === Number(value) ? fixed : String(value);
}

// text that is no number leaves the slider where it is
function slide(field, text) {
  const value = text.trim() === "" ? NaN : Number(text.replace(",", "."));
  if (Number.isFinite(value)) field.querySelector(".slide").value = value;
}

// fill the form with a wine, whose values are text
function show(wine) {
  fields().forEach((field) => {
    const text = wine[field.dataset.name];
    field.querySelector(".number").value = text;
    slide(field, text);
  });
  all("input[name=type]").forEach((radio) => { radio.checked = radio.value === wine.type; });
  colour();
}

// set the sliders' scales to those of the colour
function colour() {
  const chosen = element.querySelector("input[name=type]:checked");
  const kind = chosen ? chosen.value : "";
  element.querySelector(".form").dataset.type = kind;
  fields().forEach((field) => {
    const [low, high] = JSON.parse(field.dataset.scales)[kind] || [0, 1];
    const slider = field.querySelector(".slide");
    [slider.min, slider.max] = [low, high];
    const ends = field.querySelectorAll(".ends span");
    [ends[0].textContent, ends[1].textContent] = [low, high];
    slide(field, field.querySelector(".number").value);
  });
}

element.addEventListener("input", (event) => {
  const field = event.target.closest(".measure");
  if (event.target.matches(".slide")) {
    field.querySelector(".number").value = Number(event.target.value).toFixed(field.dataset.decimals);
  } else if (event.target.matches(".number")) {
    slide(field, event.target.value);
  } else {
    colour();
  }
  send();
});

element.addEventListener("click", (event) => {
  const about = event.target.closest("button.about");
  if (about) {
    const text = document.getElementById(about.getAttribute("aria-controls"));
    text.hidden = !text.hidden;
    about.setAttribute("aria-expanded", !text.hidden);
  }
  const example = event.target.closest(".example");
  if (!example) return;
  const wine = JSON.parse(example.dataset.wine);
  fields().forEach(({ dataset: { name, decimals } }) => { wine[name] = asTyped(wine[name], decimals); });
  show(wine);
  send();
});

// another version of the model brings another form: keep what was typed
watch("form", () => { if (props.value) show(props.value); });

// show Python's messages under the fields
watch("notes", () => {
  greyOut();
  const notes = (props.notes || {}).fields || {};
  fields().forEach((field) => {
    const { text = "", bad = false } = notes[field.dataset.name] || {};
    const message = field.querySelector(".message");
    if (message.textContent !== text) message.textContent = text;
    message.classList.toggle("bad", bad);
    field.querySelector(".number").setAttribute("aria-invalid", bad);
  });
});
