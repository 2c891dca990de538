"""Words that stand where a name could, and are none: "I'm Sure", "Dear Customer", "Thanks, It works"."""

_NO_NAMES_TEXT = """
a about absolutely again all almost already also always am an and any anyone anything are as asking at back bad
based because been being both but by can can't cannot could curious customer confused disappointed do does doing
done don't each either else even ever everyone everybody excellent exactly experiencing facing fine folks for from
fully getting glad going gone good great guys had happy has have having he hello help her here hi his hoping how
however i i'd i'll i'm i've if impressed in incorrect interested is it it's its just know last let living located
logged looking lost madam ma'am maybe me missing mine more most my need never new nice no none nor not nothing now
of off ok okay old on once one only or our out over please pleased pretty probably quite ready really right running
sad satisfied seeing she should shown sir so some someone something sorry spelled still stuck such sure support
super surprised team than thank thanks that that's the their them then there these they things this those thrilled
tired to too totally truly trying unable unhappy unsure until up upset us used user using very waiting was we well
were what when where which while who why will willing with wondering working world worried would wrong yes yet you
your yours i.e e.g etc best regards cheers sincerely dear hey mr mrs ms dr admin agent ai alexa android apple amazon
america american app assistant august australia australian austrian bot brazilian british canada canadian chatbot
chatgpt chat chinese christian claude company copilot customers danish december developer dutch english engineer
europe european february finnish france french friday gemini german germany google gpt greek hispanic india indian
irish italian italy james' january japan japanese jewish july june korean llama linux macos management manager march
may mexican microsoft model monday muslim norwegian november october openai polish portuguese russian sales saturday
september service siri software spain spanish student sunday swedish swiss teacher thursday tuesday turkish uk
ukrainian usa usd wednesday windows alle alles auch bitte das dass der die ein eine er es gut hier ich ist ja kein
mit nein nicht noch sie sehr und wir zu zusammen zufrieden leute damen herren kunde kundin kundenservice kollegen
freunde welt herr frau bien c'est ce client cliente clients contente content d'accord dans de des désolé désolée du
elle en est et il ils je la le les ma mais merci mon ne non nous oui pas pour que qui sa ses son sur très tout tous
toutes un une vous equipe équipe bueno clientes con el ella equipo esta está este hay las lo los mi muy para pero
por qué se señor señores si sí su todos tu una usted y yo amigo amigos bene buona che ciao del della di gli grazie
io per più sono tutti uno ik het een van niet goed bonjour hallo hola
"""
NO_NAMES = frozenset(_NO_NAMES_TEXT.split())
# Names as well: they count when a family name follows, or when somebody says that it is the name.
_ALSO_NAMES_TEXT = "alexa claude christian siri august may march june gemini german english french dutch irish"
ALSO_NAMES = frozenset(_ALSO_NAMES_TEXT.split())
_NEVER_SECOND_TEXT = """
i i'm i'd i've i'll the this that these my and but it it's please thanks thank we you your is in on for from with best
regards kind how what can could would why when where if ich und aber bitte danke je et mais merci yo pero gracias io ma
here hier not der die das
"""
# After a first name a capitalised word is the family name ("Best", "Young"), unless it begins a sentence.
NEVER_SECOND = frozenset(_NEVER_SECOND_TEXT.split())
