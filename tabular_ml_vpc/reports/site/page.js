"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("cost-data").textContent);
  const HOURS = 730;
  const usd = (amount) =>
    amount > 0 && amount < 0.01 ? "<0.01"
      : amount.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });

  // Costs: the same sums as tabular_ml_vpc/reports/cost, with slider values instead of assumptions.
  const SLIDERS = ["endpoints", "zones", "people", "studio-hours", "runs", "endpoint-hours"]
    .filter(byId); // without Studio, two of them are absent
  const value = (name) => Number(byId(name)?.value ?? 0);
  const initialPeople = value("people");
  const level = () => Number(document.querySelector("input[name=level]:checked").value);

  // The amount of a line and its calculation, if a slider controls it.
  function counted(line) {
    const people = value("people");
    if (line.meter === "vpc_interface_endpoint_az_hour") {
      const [endpoints, zones] = [value("endpoints"), value("zones")];
      return [endpoints * zones * HOURS, `${endpoints} endpoints x ${zones} AZ x ${HOURS} h`];
    }
    if (line.meter.startsWith("sagemaker_studio_hour.")) {
      const hours = value("studio-hours");
      return [people * hours, `${people} x ${hours} h`];
    }
    if (line.meter === "sagemaker_studio_space_gp3_gb_month") {
      const size = line.quantity[level()] / initialPeople;
      return [people * size, `${people} x ${size} GB`];
    }
    if (line.meter.startsWith("sagemaker_hosting_hour.")) {
      const [count, hours] = [line.quantity[1] / HOURS, value("endpoint-hours")];
      return [count * hours, `${count} x ${hours} h`];
    }
    return [line.quantity[level()], line.counted];
  }

  function showCost() {
    const region = byId("region").value;
    const totals = { environment: 0, studio: 0, run: 0, endpoint: 0 };
    data.lines.forEach((line, number) => {
      const price = line.usd[region];
      const [quantity, text] = counted(line);
      const amount = price === null ? null : price * quantity;
      document.querySelector(`[data-counted="${number}"]`).textContent = text;
      if (amount !== null) totals[line.part] += amount;
      const estimated = line.estimated.includes(region) ? " (estimated)" : "";
      document.querySelector(`[data-line="${number}"]`).textContent =
        amount === null ? "unknown" : usd(amount) + estimated;
    });
    for (const [part, amount] of Object.entries(totals)) {
      const cell = document.querySelector(`[data-part="${part}"]`);
      if (cell) cell.textContent = usd(amount);
    }
    const month = totals.environment + totals.studio + totals.endpoint + totals.run * value("runs");
    byId("total").textContent = `${usd(month)} USD a month`;
    const example = data.cdk[region];
    byId("compared").textContent = example === null ? "" :
      `of which ${usd(totals.environment)} for the environment: ` +
      `${Math.round(totals.environment / example * 100)} % of the CDK example's endpoints ` +
      `(${usd(example)})`;
    const hour = data.lines.find((line) => line.meter === "vpc_interface_endpoint_az_hour");
    document.querySelectorAll("[data-interfaces]").forEach((cell) => {
      const price = hour.usd[region];
      cell.textContent = price === null ? "unknown" : usd(price * Number(cell.dataset.interfaces));
    });
    SLIDERS.forEach((name) => { byId(`${name}-value`).value = byId(name).value; });
  }

  byId("cost-form").addEventListener("input", showCost);
  byId("cost-form").addEventListener("submit", (event) => event.preventDefault());
  document.querySelectorAll(".choose").forEach((button) => {
    button.addEventListener("click", () => {
      byId("endpoints").value = button.dataset.endpoints;
      byId("zones").value = button.dataset.zones;
      showCost();
    });
  });
  showCost();

  // Filters: all words must match.
  function filter(name, items, what) {
    const field = byId(`${name}-filter`);
    field.closest(".filter").hidden = false;
    const texts = items.map((item) => item.textContent.toLowerCase());
    const show = () => {
      const wanted = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      items.forEach((item, number) => {
        item.hidden = !wanted.every((word) => texts[number].includes(word));
        shown += item.hidden ? 0 : 1;
      });
      byId(`${name}-count`).textContent = `${shown} of ${items.length} ${what}`;
    };
    field.addEventListener("input", show);
    show();
  }
  filter("resources", [...document.querySelectorAll("#resources-table tbody tr")], "resources");
  filter("rights", [...document.querySelectorAll("#rights-list .filtered")], "policies");

  // Light or dark: the system's setting, until the reader chooses.
  const theme = byId("theme");
  const root = document.documentElement;
  const dark = () =>
    root.dataset.theme ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
  const showTheme = () => { theme.setAttribute("aria-pressed", String(dark())); };
  theme.hidden = false;
  theme.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    showTheme();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showTheme);
  showTheme();

  // The reader's position.
  const links = [...document.querySelectorAll("nav a")];
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((one) => one.isIntersecting)) {
      links.forEach((link) => {
        if (link.hash === `#${entry.target.id}`) link.setAttribute("aria-current", "true");
        else link.removeAttribute("aria-current");
      });
    }
  }, { rootMargin: "-20% 0px -70% 0px" });
  document.querySelectorAll("main > section").forEach((section) => seen.observe(section));
})();
