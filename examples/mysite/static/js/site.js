// A page whose three parts come from different versions says so.
const versions = [...document.querySelectorAll(".versions dd")].map((dd) => dd.textContent.trim());
document.querySelector(".versions").classList.toggle("mixed", new Set(versions).size > 1);
