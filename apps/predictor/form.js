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

function show(wine) {
  fields().forEach((field) => {
    const number = field.querySelector(".number");
    number.value = Number(wine[field.dataset.name]).toFixed(field.dataset.decimals);
    field.querySelector(".slide").value = number.value;
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
    field.querySelector(".slide").value = event.target.value.replace(",", ".");
  } else {
    colour();
  }
  send();
});

element.addEventListener("click", (event) => {
  const example = event.target.closest(".example");
  if (!example) return;
  show(JSON.parse(example.dataset.wine));
  send();
});

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
