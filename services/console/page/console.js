/** The page: draws each picture of the platform as it comes. */

const number = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const show = (value) => value === null ? "\u2013" : number.format(value);

const cards = new Map();

function cardOf(service) {
  let card = cards.get(service);
  if (!card) {
    card = document.getElementById("stage").content.cloneNode(true).querySelector("li");
    card.dataset.service = service;
    cards.set(service, card);
    document.getElementById("stages").append(card);
  }
  return card;
}

function drawStage(stage) {
  const card = cardOf(stage.service);
  const link = card.querySelector("a");
  link.textContent = stage.service;
  link.href = `/api/${stage.service}/openapi.json`;
  const health = card.querySelector(".health");
  health.textContent = stage.health;
  health.dataset.health = stage.health;
  card.querySelector(".summary").textContent = stage.summary;
  const values = {
    rate: stage.rate === null ? show(null) : `${show(stage.rate)}/s`,
    lag: show(stage.lag),
    deadLetters: show(stage.deadLetters),
    copies: show(stage.copies),
  };
  for (const [name, text] of Object.entries(values)) {
    card.querySelector(`[data-value="${name}"]`).textContent = text;
  }
  const reason = card.querySelector(".reason");
  reason.hidden = stage.reason === null;
  reason.textContent = stage.reason ?? "";
  const flow = [
    stage.reads.length ? `reads ${stage.reads.join(", ")}` : "",
    stage.writes.length ? `writes ${stage.writes.join(", ")}` : "",
  ];
  card.querySelector(".flow").textContent = flow.filter(Boolean).join(" \u2192 ");
}

function drawStreams(streams) {
  const rows = streams.map(({ name, messages, bytes }) => {
    const row = document.createElement("tr");
    for (const text of [name, number.format(messages), number.format(bytes)]) {
      row.append(Object.assign(document.createElement("td"), { textContent: text }));
    }
    return row;
  });
  document.getElementById("streams").replaceChildren(...rows);
}

const state = document.getElementById("state");

const pictures = new EventSource("/v1/overview/stream");
pictures.addEventListener("overview", ({ data }) => {
  const picture = JSON.parse(data);
  picture.stages.forEach(drawStage);
  drawStreams(picture.streams);
  const ready = picture.stages.filter(({ health }) => health === "ready").length;
  state.textContent = `${ready} of ${picture.stages.length} services ready at ${
    picture.at.slice(11, 19)
  } UTC`;
});
pictures.addEventListener("error", () => {
  state.textContent = "The console does not answer; trying again";
});
