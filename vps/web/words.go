package web

import (
	"cmp"
	"strconv"
	"strings"
)

// Languages are those that the page has, the first one where nothing else is asked for.
var Languages = []string{"en", "de", "nl", "fr"}

// Language returns the language of a request: that of the parameter lang, else the one that the browser likes best.
func Language(param, accept string) string {
	best, most := Languages[0], 0.0
	for part := range strings.SplitSeq(accept, ",") {
		tag, params, _ := strings.Cut(part, ";")
		q := 1.0
		if value, ok := strings.CutPrefix(strings.ReplaceAll(params, " ", ""), "q="); ok {
			q, _ = strconv.ParseFloat(value, 64)
		}
		if name := languageOf(tag); name != "" && q > most {
			best, most = name, q
		}
	}
	return cmp.Or(languageOf(param), best)
}

// languageOf returns the one of ours that a tag such as de-AT asks for, "" if none.
func languageOf(tag string) string {
	primary, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(tag)), "-")
	for _, name := range Languages {
		if name == primary {
			return name
		}
	}
	return ""
}

// wordsOf returns the words of a language.
func wordsOf(lang string) map[string]string {
	for i, name := range Languages {
		if name == lang {
			return translated[i]
		}
	}
	return translated[0]
}

var translated = func() []map[string]string {
	all := make([]map[string]string, len(Languages))
	for i := range all {
		all[i] = map[string]string{}
		for line := range strings.Lines(strings.TrimSpace(words)) {
			cells := strings.Split(strings.TrimSpace(line), " | ")
			all[i][cells[0]] = cells[1+i]
		}
	}
	return all
}()

// words are what pages without scripts show: a key, then each of Languages.
const words = `
loading | Loading… If this stays, open | Wird geladen … Wenn das so bleibt: | Laden… Blijft dit staan, open dan | Chargement… Si rien ne change, ouvrez
simple | the simple page | die einfache Seite | de eenvoudige pagina | la page simple
full | the full page | die ganze Seite | de volledige pagina | la page complète
noscript | This page needs JavaScript. Without it there is | Diese Seite braucht JavaScript. Ohne gibt es | Deze pagina heeft JavaScript nodig. Zonder is er | Cette page a besoin de JavaScript. Sans lui, il y a
solar | Solar | Sonne | Zon | Solaire
home | Home | Haus | Huis | Maison
grid | Grid | Netz | Net | Réseau
from_grid | from the grid | aus dem Netz | van het net | depuis le réseau
to_grid | to the grid | ins Netz | naar het net | vers le réseau
battery | Battery | Batterie | Batterij | Batterie
charging | charging | lädt | laadt op | en charge
discharging | discharging | entlädt | ontlaadt | en décharge
soc | State of charge | Ladestand | Laadtoestand | État de charge
solar_today | Solar today | Sonne heute | Zon vandaag | Solaire aujourd’hui
idle | idle | ruht | in rust | au repos
today | Today | Heute | Vandaag | Aujourd’hui
yesterday | Yesterday | Gestern | Gisteren | Hier
month | This month | Dieser Monat | Deze maand | Ce mois-ci
used | Used | Verbraucht | Verbruikt | Consommé
imported | Imported | Bezogen | Afgenomen | Prélevé
exported | Exported | Eingespeist | Geïnjecteerd | Injecté
own | Self-sufficiency | Autarkie | Zelfvoorziening | Autonomie
cost | Cost | Kosten | Kosten | Coût
saved | Saved | Gespart | Bespaard | Économisé
fee | Fixed fee | Grundpreis | Vaste vergoeding | Abonnement
live | Live | Live | Live | En direct
delayed | Delayed | Verzögert | Vertraagd | En retard
stale | Out of date | Veraltet | Verouderd | Périmé
offline | Offline | Offline | Offline | Hors ligne
asleep | Asleep | Schläft | Slaapt | En veille
never | No inverter has reported yet | Noch hat kein Wechselrichter gesendet | Nog geen omvormer heeft iets gestuurd | Aucun onduleur n’a encore envoyé de données
as_of | as of | Stand | stand van | à
curve | Power today | Leistung heute | Vermogen vandaag | Puissance aujourd’hui
unavailable | The values cannot be read now. This page asks again by itself. | Die Werte sind gerade nicht lesbar. Diese Seite fragt von selbst wieder. | De waarden zijn nu niet leesbaar. Deze pagina vraagt vanzelf opnieuw. | Les valeurs sont illisibles pour l’instant. Cette page réessaie d’elle-même.
login | Log in | Anmelden | Inloggen | Connexion
logout | Log out | Abmelden | Uitloggen | Déconnexion
token | Access token | Zugangstoken | Toegangstoken | Jeton d’accès
wrong | This token is not valid. | Dieses Token gilt nicht. | Dit token is niet geldig. | Ce jeton n’est pas valable.
wait | Too many attempts. Wait a minute. | Zu viele Versuche. Bitte eine Minute warten. | Te veel pogingen. Wacht een minuut. | Trop d’essais. Attendez une minute.
show | Show | Anzeigen | Tonen | Afficher
`
