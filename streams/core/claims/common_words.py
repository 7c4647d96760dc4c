"""Words that stand beside a figure in sales messages, and are no plan's or product's name: "Ab 49 €", "Seulement 49 €", "Desde 49 €".

At the beginning of a sentence such a word is written like a name. Taken for one, it would make two messages speak of the same thing that do
not. By language: function words, words of time, and what a price, an offer or an invoice's line is called. Words that are plans'
names in English, too, are left out ("pro", "team", "plus", "solo", "basis"): see `streams.core.claims.subjects`.
"""

from __future__ import annotations

from streams.core.claims.text import words

ENGLISH = words(
    """
    a an the first second last next our your my their this that these those it its we you they i he she here there and
    or but so if when while with without for from to of on in at by as per only just now today tonight tomorrow get try
    buy choose pick start starting join upgrade switch go take save claim use grab enjoy book order pay paying price
    prices pricing cost costs plan plans all any every each both most more no not new best everything everyone
    anyone total subtotal monthly yearly annual annually quarterly billed offer offers deal deals discount discounts
    sale promo promotion bonus note ps re fw fwd hi hello hey dear subject special limited exclusive introductory list
    regular regularly normal normally usual was ends until before after valid includes including features faq contact
    about news blog overview compare licence license licences licenses seat seats user users access subscription
    subscriptions package packages tier tiers edition bundle january february march april may june july august september
    october november december monday tuesday wednesday thursday friday saturday sunday spring summer autumn fall winter
    q1 q2 q3 q4 usd eur gbp chf cad aud code coupon ask dm call see month year fee fees rate setup set-up deadline
    contract contracts expires membership sales team's what how why who yes ok okay also then still i'm we're it's
    discounted reduced lowered dropped cut slashed currently previously originally formerly later afterwards
    """
)
GERMAN = words(
    """
    ab als also am an auf aus bei beim bis da danach dann das dass dem den der des die dies diese diesem diesen dieser
    dieses doch dort du ein eine einem einen einer eines er es etwa euch euer eure für ganz gegen gerade gleich hier ich ihm ihn
    ihnen ihr ihre ihrem ihren ihrer im in ins ist ja je jede jeden jeder jedes jedoch jetzt kein keine mehr mein meine mit nach
    nicht noch nun nur ob oder ohne schon sehr sein seine seit sich sie sind so sofort somit sonst später statt über um und uns
    unser unsere unserem unseren unserer unter viel vom von vor vorher war waren was weil wenn wer wie wir wird wo zu zum zur zusammen
    zwei zwischen zzgl inkl ca bisher bislang sowie dabei dafür damit davon dazu heute morgen gestern aktuell momentan derzeit
    künftig zukünftig ursprünglich regulär normal normalerweise üblicherweise anschließend zunächst insgesamt gesamt summe
    zwischensumme gesamtpreis gesamtsumme netto brutto mwst zusätzlich einmalig monatlich jährlich vierteljährlich wöchentlich
    täglich preis preise preisliste tarif tarife kosten gebühr gebühren rate rabatt rabatte nachlass angebot angebote
    angebotspreis sonderpreis sonderangebot aktion aktionspreis aktionsangebot listenpreis normalpreis endpreis paket pakete abo
    abonnement lizenz lizenzen vertrag laufzeit frist gültig nutzer benutzer platz plätze monat monate jahr jahre tag tage woche
    wochen guten tag hallo liebe lieber sehr geehrte geehrter frau herr betreff bitte danke gerne grüße
    sichern sparen sparpreis kaufen bestellen buchen wählen zahlen bezahlen
    kostet januar februar märz mai juni juli oktober dezember montag dienstag mittwoch donnerstag freitag samstag sonntag
    frühling sommer herbst winter
    """
)
FRENCH = words(
    """
    à au aux avec ce ceci cela ces cet cette ci comme dans de depuis des dès donc du elle elles en encore ensuite entre est et
    être eux il ils jusqu jusque la là le les leur leurs lui mais me mes moins mon ma même ne nos notre nous on or ou où par pas
    pendant peu plus pour puis quand que quel quelle qui quoi sa sans se selon ses si son sont sous sur ta te tes ton tous tout toute
    toutes très tu un une vers voici voilà vos votre vous seulement uniquement juste maintenant aujourd'hui aujourd hui demain hier
    actuellement désormais dorénavant bientôt avant après auparavant initialement normalement habituellement total totale
    totaux montant somme soustotal ht ttc hors taxes prix tarif tarifs coût coûts frais remise remises rabais réduction réductions
    promotion promo offre offres devis abonnement abonnements forfait forfaits licence licences contrat durée valable échéance mensuel
    mensuelle mensuellement annuel annuelle annuellement trimestriel mois an ans année jour jours semaine utilisateur utilisateurs
    bonjour bonsoir cher chère madame monsieur objet merci cordialement profitez économisez payez choisissez commandez achetez
    réservez janvier février mars avril mai juin juillet août septembre octobre novembre décembre lundi mardi mercredi jeudi
    vendredi samedi dimanche printemps été automne hiver
    """
) - words("plus")
SPANISH = words(
    """
    a al algo ante antes aquí así aún aunque bajo cada como con contra cual cuando cuál de del desde después donde dos durante e el
    ella ellas ellos en entre era eran es esa ese eso esta está estas este esto estos fue ha hasta hay incluso la las le les lo los
    luego más me menos mi mis mientras muy ni no nos nosotros nuestra nuestras nuestro nuestros o os otra otro para pero poco por
    porque pues que qué quien se según ser si sí sin sobre son su sus también tan tanto te tiene todo toda todos todas tras tu tus un
    una unas uno unos usted ustedes vuestra vuestro y ya yo sólo solamente únicamente ahora hoy mañana ayer actualmente
    anteriormente originalmente normalmente habitualmente próximamente pronto total subtotal importe suma neto bruto iva precio
    precios tarifa tarifas coste costes costo costos cuota cuotas descuento descuentos rebaja rebajas promoción promociones oferta
    ofertas presupuesto suscripción suscripciones paquete paquetes licencia licencias contrato plazo válido válida mensual
    mensualmente anual anualmente trimestral mes meses año años día días semana usuario usuarios hola buenos buenas estimado
    estimada señor señora asunto gracias saludos aproveche aprovecha ahorre ahorra pague paga elija compre compra reserve enero
    febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre lunes martes miércoles jueves viernes sábado
    domingo primavera verano otoño invierno
    """
)
COMMON_WORDS = ENGLISH | GERMAN | FRENCH | SPANISH
