const words = {
  en: {
    leaving: "This site closes for maintenance. You are taken to a page that says for how long, and back here when it is over.",
    until: "Expected end:",
    now: "Go now",
    stay: "Stay for now",
    waiting: "Maintenance: the site is being prepared for administrators. Please wait a moment and try again.",
    soon: (/** @type {string} */ time) => `This site closes for maintenance at ${time}. Please save your work before then.`,
    close: "Close",
  },
  fr: {
    leaving: "Ce site ferme pour maintenance. Une page vous dira pour combien de temps, et vous ramènera ici ensuite.",
    until: "Fin prévue :",
    now: "Y aller maintenant",
    stay: "Rester ici",
    waiting: "Maintenance : le site est en préparation pour les administrateurs. Attendez un instant, puis réessayez.",
    soon: (/** @type {string} */ time) => `Ce site fermera pour maintenance à ${time}. Enregistrez votre travail avant.`,
    close: "Fermer",
  },
  pt: {
    leaving: "Este site fecha para manutenção. Uma página dirá por quanto tempo, e trará você de volta depois.",
    until: "Fim previsto:",
    now: "Ir agora",
    stay: "Ficar aqui",
    waiting: "Manutenção: o site está sendo preparado para os administradores. Espere um momento e tente de novo.",
    soon: (/** @type {string} */ time) => `Este site fecha para manutenção às ${time}. Salve o seu trabalho antes disso.`,
    close: "Fechar",
  },
  es: {
    leaving: "Este sitio cierra por mantenimiento. Una página le dirá por cuánto tiempo y le traerá de vuelta después.",
    until: "Fin previsto:",
    now: "Ir ahora",
    stay: "Quedarse aquí",
    waiting: "Mantenimiento: se está preparando el sitio para los administradores. Espere un momento y vuelva a intentarlo.",
    soon: (/** @type {string} */ time) => `Este sitio cierra por mantenimiento a las ${time}. Guarde su trabajo antes.`,
    close: "Cerrar",
  },
};

/** @type {typeof import("./notice.d.ts").notice} */
export const notice = ({
  seconds = 10, ahead = 900, document = globalThis.document, lang = () => document.documentElement.lang || navigator.language,
} = {}) => {
  /** Of the announced window, until it is warned of. @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  // The server's clock, once a status has been heard.
  let serverNow = Date.now;
  /** The beginning of that window. @type {string | undefined} */
  let announced;
  /** What stands on the page. @type {HTMLElement | undefined} */
  let shown;
  /** @type {HTMLElement | undefined} */
  let warning;
  /** @type {HTMLElement | undefined} */
  let wait;
  /** Ends the choice between going and staying. @type {(() => void) | undefined} */
  let endChoice;

  const speak = () => {
    const [asked = ""] = String(lang()).replaceAll("_", "-").split(/[.@]/); // of a POSIX locale, such as pt_BR.UTF-8, too
    const base = /** @type {keyof typeof words} */ (asked.slice(0, 2).toLowerCase());
    /** @type {string} */
    let tag = words[base] ? base : "en";
    try {
      if (words[base]) [tag = base] = Intl.DateTimeFormat.supportedLocalesOf(asked);
    } catch {} // it is no tag
    return { ...words[base] ?? words.en, base, tag };
  };

  // Under a modal dialog nothing can be reached but what is in it. A browser that knows nothing of :modal finds none.
  /** @param {HTMLElement} box */
  const place = (box) => {
    const dialog = [...document.querySelectorAll("dialog:is(:modal)")].at(-1);
    (dialog ?? document.body).append(box);
    dialog?.addEventListener("close", () => box.isConnected && place(box), { once: true });
  };

  /** @param {HTMLElement} box @param {string} label @param {() => void} press */
  const addButton = (box, label, press) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = label;
    Object.assign(button.style, { marginInlineStart: "1rem", padding: ".25rem .75rem", font: "inherit", cursor: "pointer" });
    button.onclick = press;
    box.append(button);
  };

  // Styles are set one by one, which a strict content security policy allows; an attribute it would refuse.
  /** @param {string} tag @param {string} message */
  const show = (tag, message) => {
    shown?.remove();
    const box = document.createElement("div");
    box.lang = tag;
    box.setAttribute("role", "alert");
    box.textContent = message;
    Object.assign(box.style, {
      position: "fixed", insetInline: "1rem", bottom: "1rem", zIndex: 2147483647, padding: "1rem", borderRadius: ".5rem",
      font: "1rem/1.5 system-ui", color: "#fff", background: "#134e4a", boxShadow: "0 .25rem 1rem #0006",
    });
    place(box);
    return shown = box;
  };

  /** @param {string} tag @param {string} message @param {string} label */
  const showClosable = (tag, message, label) => {
    const box = show(tag, message);
    addButton(box, label, () => box.remove());
    return box;
  };

  return {
    onLeave({ messages, message, expectedUntil }, failed, signal) {
      endChoice?.();
      if (failed) return failed; // something is lost by staying
      return new Promise((done) => {
        const { tag, base, leaving, until, now, stay } = speak();
        const said = [leaving, messages?.[tag] ?? messages?.[base] ?? message];
        const eta = Date.parse(/** @type {string} */ (expectedUntil)); // NaN where there is none
        if (eta > serverNow()) said.push(until, new Date(eta).toLocaleString(tag, { dateStyle: "medium", timeStyle: "short" }));
        const text = said.join(" ");
        const box = show(tag, text);
        const end = Date.now() + 1000 * seconds;
        const countdown = document.createElement("span");
        countdown.setAttribute("role", "timer"); // which isn't read out at each second

        const tick = () => {
          countdown.textContent = ` ${Math.ceil((end - Date.now()) / 1000)} s`;
        };
        /** @param {false} [answer] */
        const choose = (answer) => {
          clearTimeout(going);
          clearInterval(ticking);
          box.textContent = text; // until the page is left: its last requests are waited for
          done(answer);
        };
        const going = setTimeout(choose, 1000 * seconds);
        const ticking = setInterval(tick, 1000);
        endChoice = choose;
        tick();
        addButton(box, now, choose);
        addButton(box, stay, () => {
          box.remove();
          choose(false);
        });
        box.append(countdown);
        signal.addEventListener("abort", () => {
          box.remove();
          choose();
        });
      });
    },

    onWait() {
      const { tag, waiting, close } = speak();
      const box = wait = showClosable(tag, waiting, close);
      setTimeout(() => box.remove(), 15000); // whoever tries too early is told once more
    },

    onChange({ next }, now = serverNow) {
      serverNow = now;
      wait?.remove();
      if (announced === next?.from) return;
      announced = next?.from;
      clearTimeout(timer);
      warning?.remove();
      if (!next) return;
      const from = Date.parse(next.from);
      const warnInTime = () => {
        const left = from - ahead * 1000 - now();
        // A timer holds 2^31 ms at most.
        if (left > 0) timer = setTimeout(warnInTime, Math.min(left, 2e9));
        else if (from > now()) {
          const { tag, soon, close } = speak();
          const time = new Date(from).toLocaleTimeString(tag, { hour: "numeric", minute: "2-digit" });
          warning = showClosable(tag, soon(time), close);
        }
      };
      warnInTime();
    },
  };
};
