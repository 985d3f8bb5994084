{{/*
What the controller does in a namespace whose clusters it looks after. The tiers kube and chart run it with these rules.
*/}}
{{- define "pgherd.rules" -}}
{{ .Files.Get "files/controller-rules.yaml" | trim }}
{{- end }}
