const words = {
  en: {
    leaving: "This site closes for maintenance. You are taken to a page that says for how long, and back here when it is over.",
    now: "Go now",
    waiting: "Maintenance: the site is being prepared for administrators. Please wait a moment and try again.",
    soon: (time) => `This site closes for maintenance at ${time}. Please save your work before then.`,
    close: "Close",
  },
  fr: {
    leaving: "Ce site ferme pour maintenance. Une page vous dira pour combien de temps, et vous ramènera ici ensuite.",
    now: "Y aller maintenant",
    waiting: "Maintenance : le site est en préparation pour les administrateurs. Attendez un instant, puis réessayez.",
    soon: (time) => `Ce site fermera pour maintenance à ${time}. Enregistrez votre travail avant.`,
    close: "Fermer",
  },
  pt: {
    leaving: "Este site fecha para manutenção. Uma página dirá por quanto tempo, e trará você de volta depois.",
    now: "Ir agora",
    waiting: "Manutenção: o site está sendo preparado para os administradores. Espere um momento e tente de novo.",
    soon: (time) => `Este site fecha para manutenção às ${time}. Salve o seu trabalho antes disso.`,
    close: "Fechar",
  },
  es: {
    leaving: "Este sitio cierra por mantenimiento. Una página le dirá por cuánto tiempo y le traerá de vuelta después.",
    now: "Ir ahora",
    waiting: "Mantenimiento: se está preparando el sitio para los administradores. Espere un momento y vuelva a intentarlo.",
    soon: (time) => `Este sitio cierra por mantenimiento a las ${time}. Guarde su trabajo antes.`,
    close: "Cerrar",
  },
};

/** See notice.d.ts. */
export const notice = ({
  seconds = 10, ahead = 900, document = globalThis.document, lang = () => document.documentElement.lang || navigator.language,
} = {}) => {
  let timer, shown, announced, warning;

  const speak = () => {
    const [tag] = String(lang()).replaceAll("_", "-").split(/[.@]/); // of a POSIX locale, such as pt_BR.UTF-8, too
    const base = tag.slice(0, 2).toLowerCase();
    if (!words[base]) return { ...words.en, tag: "en" };
    try {
      return { ...words[base], tag: Intl.DateTimeFormat.supportedLocalesOf(tag)[0] ?? base };
    } catch {
      return { ...words[base], tag: base };
    }
  };

  // Under a modal dialog nothing can be reached but what is in it. A browser that knows nothing of :modal finds none.
  const place = (box) => {
    const dialog = [...document.querySelectorAll("dialog:is(:modal)")].at(-1);
    (dialog ?? document.body).append(box);
    dialog?.addEventListener("close", () => box.isConnected && place(box), { once: true });
  };

  // Styles are set one by one, which a strict content security policy allows; an attribute it would refuse.
  const show = (tag, message, label, press) => {
    shown?.remove();
    const box = shown = document.createElement("div");
    box.lang = tag;
    box.setAttribute("role", "alert");
    box.textContent = message;
    Object.assign(box.style, {
      position: "fixed", insetInline: "1rem", bottom: "1rem", zIndex: 2147483647, padding: "1rem", borderRadius: ".5rem",
      font: "1rem/1.5 system-ui, sans-serif", color: "#fff", background: "#134e4a", boxShadow: "0 .25rem 1rem #0006",
    });
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = label;
    Object.assign(button.style, { marginInlineStart: "1rem", padding: ".25rem .75rem", font: "inherit", cursor: "pointer" });
    button.onclick = press;
    box.append(button);
    place(box);
    return box;
  };

  return {
    onLeave: (doc, failed, signal) => failed || new Promise((done) => {
      const { tag, leaving, now } = speak();
      const box = show(tag, leaving, now, done);
      setTimeout(done, seconds * 1000);
      signal.addEventListener("abort", () => {
        box.remove();
        done();
      });
    }),

    onWait: () => {
      const { tag, waiting, close } = speak();
      const box = show(tag, waiting, close, () => box.remove());
    },

    onChange: ({ next }, now = Date.now) => {
      if (announced === (announced = next?.from)) return;
      clearTimeout(timer);
      warning?.remove();
      if (!next) return;
      const from = Date.parse(next.from);
      const wait = () => {
        const left = from - ahead * 1000 - now();
        // A timer holds 2^31 ms at most.
        if (left > 0) timer = setTimeout(wait, Math.min(left, 2e9));
        else if (from > now()) {
          const { tag, soon, close } = speak();
          const time = new Date(from).toLocaleTimeString(tag, { hour: "numeric", minute: "2-digit" });
          warning = show(tag, soon(time), close, () => warning.remove());
        }
      };
      wait();
    },
  };
};
