"""Parts of ChatGonka. Nothing here is public; import from `gonka_integrations.langchain`."""
