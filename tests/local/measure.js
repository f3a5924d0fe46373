// What can be measured of the page it runs in: sizes, colours, contrasts.
() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].map((part) => part / 255);
  };
  const light = ([r, g, b]) => {
    const [R, G, B] = [r, g, b].map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * R + 0.7152 * G + 0.0722 * B;
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = rgba(getComputedStyle(at).backgroundColor);
      if (colour[3] > 0.99) return colour;
    }
    return rgba("white");
  };
  const ratio = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
  const texts = [...document.querySelectorAll("body *")].filter((element) =>
    !["STYLE", "TITLE", "title"].includes(element.tagName) && element.checkVisibility()
    && [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim()));
  const contrasts = texts.map((element) => {
    const style = getComputedStyle(element);
    const ink = rgba(element instanceof SVGElement ? style.fill : style.color);
    return [ratio(ink, ground(element)), element.textContent.trim().slice(0, 40)];
  }).sort((a, b) => a[0] - b[0]);
  const outside = texts.filter((element) => {
    if (element.closest(".scroll, pre")) return false;
    const box = element.getBoundingClientRect();
    return box.left < -0.5 || box.right > innerWidth + 0.5;
  }).map((element) => element.textContent.trim().slice(0, 40));
  const pictures = [...document.querySelectorAll("svg")];
  const spilled = pictures.flatMap((svg) => {
    const frame = svg.getBoundingClientRect();
    return [...svg.querySelectorAll("text, .line, .dot")].filter((part) => {
      const box = part.getBoundingClientRect();
      return box.left < frame.left - 1 || box.right > frame.right + 1
        || box.top < frame.top - 1 || box.bottom > frame.bottom + 1;
    }).map((part) => `${svg.getAttribute("aria-label")}: ${part.textContent || part.tagName}`);
  });
  const sideways = [...document.querySelectorAll(".scroll")]
    .filter((box) => !box.querySelector(".confusion") && box.scrollWidth > box.clientWidth);
  const names = [...document.querySelectorAll(".confusion th span, .bar .name")];
  return {
    sideways: sideways.map((box) => box.textContent.trim().slice(0, 40)),
    cut: names.filter((name) => name.scrollWidth > name.clientWidth + 1).map((name) => name.textContent),
    overflow: document.documentElement.scrollWidth - innerWidth,
    height: document.documentElement.scrollHeight,
    lightness: light(ground(document.body)),
    contrast: contrasts[0],
    columns: getComputedStyle(document.querySelector(".grid")).gridTemplateColumns.split(" ").length,
    pictures: pictures.map((svg) => svg.getBoundingClientRect().width),
    outside,
    spilled,
    invisible: texts.filter((element) => element.getBoundingClientRect().width < 1).length,
  };
}
