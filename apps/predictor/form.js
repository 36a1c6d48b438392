// The form's behaviour. Its markup comes from Python; the fields' values, as typed, are the
// component's value, so that Python alone decides what is a wine.
const fields = () => element.querySelectorAll(".measure");
const all = (selector) => element.querySelectorAll(selector);

function send() {
  const chosen = element.querySelector("input[name=type]:checked");
  const wine = { type: chosen ? chosen.value : "" };
  fields().forEach((field) => { wine[field.dataset.name] = field.querySelector(".number").value; });
  props.value = wine;
  trigger("input");
}

// a value with the usual decimals, or more when it has more
function asTyped(value, decimals) {
  const fixed = Number(value).toFixed(decimals);
  return Number(fixed) === Number(value) ? fixed : String(value);
}

// what is no number leaves the slider where it is
function slide(field, text) {
  const value = text.trim() === "" ? NaN : Number(text.replace(",", "."));
  if (Number.isFinite(value)) field.querySelector(".slide").value = value;
}

// fill the form with a wine of text, as it is typed
function show(wine) {
  fields().forEach((field) => {
    const text = wine[field.dataset.name];
    field.querySelector(".number").value = text;
    slide(field, text);
  });
  all("input[name=type]").forEach((radio) => { radio.checked = radio.value === wine.type; });
  colour();
}

function colour() {
  const chosen = element.querySelector("input[name=type]:checked");
  element.querySelector(".form").dataset.type = chosen ? chosen.value : "";
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
  const example = event.target.closest(".example");
  if (!example) return;
  const wine = JSON.parse(example.dataset.wine);
  fields().forEach(({ dataset: { name, decimals } }) => { wine[name] = asTyped(wine[name], decimals); });
  show(wine);
  send();
});

// another version of the model brings another form: what was typed stays
watch("form", () => { if (props.value) show(props.value); });

// what Python says of each field, under the field
watch("notes", () => {
  fields().forEach((field) => {
    const { text = "", bad = false } = (props.notes || {})[field.dataset.name] || {};
    const message = field.querySelector(".message");
    if (message.textContent !== text) message.textContent = text;
    message.classList.toggle("bad", bad);
    field.querySelector(".number").setAttribute("aria-invalid", bad);
  });
});
